import json
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from support.faults import FAULTS
from support.planted import image, labels, leak, make_folder, renamed, rewrite

from cgrseg.config import Kind


def test_every_kind_is_listed_within_100_columns(run):
    result = run("data", "list")

    lines = result.out.splitlines()
    assert result.code == 0
    assert {kind for kind in get_args(Kind) if any(line.split()[:1] == [kind] for line in lines)} == set(get_args(Kind))
    assert any(line.split()[:4] == ["ade20k", "150", "20,210", "2,000"] for line in lines)
    assert "http://sceneparsing.csail.mit.edu" in result.out
    assert max(len(line.rstrip()) for line in lines) <= 100


def test_a_kind_is_listed_with_its_classes_values_and_colours(run):
    lines = [line.split() for line in run("data", "list", "cityscapes").out.splitlines()]

    assert ["0", "7", "128", "64", "128", "road"] in lines
    assert ["18", "33", "119", "11", "32", "bicycle"] in lines
    assert ["images", "train", "2,975,", "val", "500"] in lines
    assert len([line for line in lines if line and line[0].isdigit()]) == 19


def test_addresses_are_never_broken(run):
    assert "/cocostuffdataset/stuffthingmaps_trainval2017.zip\n" in run("data", "list", "cocostuff164k").out


def test_the_list_is_written_as_json(run, tmp_path):
    run("data", "list", "--json", tmp_path / "kinds.json")
    run("data", "list", "camvid", "--json", tmp_path / "camvid.json")

    kinds = json.loads((tmp_path / "kinds.json").read_text())["kinds"]
    camvid = json.loads((tmp_path / "camvid.json").read_text())
    assert [kind["kind"] for kind in kinds] == [kind for kind in get_args(Kind) if kind != "folder"]
    assert camvid == kinds[0]
    assert camvid["classes"][3] == {"name": "road", "colour": [128, 64, 128], "raw": 3}
    assert (camvid["ignore"], camvid["splits"]["test"]) == ([11], 233)


def test_an_unknown_kind_lists_the_known_ones(run):
    result = run("data", "list", "mapillary")

    assert result.code == 2
    assert "'mapillary' is not one of 'camvid', 'ade20k'" in result.err


@pytest.mark.parametrize("command", [[], ["list"], ["check"], ["show"]])
def test_every_help_has_an_example(run, command):
    assert f"Example:\n    cgrseg data {(command or ['list'])[0]}" in run("data", *command, "--help").out


def test_a_folder_without_fault_passes_its_check(run, tmp_path):
    root = make_folder(tmp_path / "mine")

    result = run("data", "check", "--data", f"folder={root}")

    assert (result.code, result.err) == (0, "")
    assert "images: train 6, val 3" in result.out
    assert result.out.rstrip().endswith("0 errors, 0 warnings, 0 notes")


def test_a_check_counts_the_classes(run, tmp_path):
    root = make_folder(tmp_path / "mine")
    rewrite([labels(root, index) for index in range(6)], np.zeros_like)

    lines = [line.split() for line in run("data", "check", "--data", f"folder={root}").out.splitlines()]

    assert ["0", "grass", "100.00%", "6"] in [line[:4] for line in lines]
    assert ["1", "road", "-", "-"] in [line[:4] for line in lines]


def test_an_error_is_shown_with_its_remedy_within_100_columns(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    renamed(make_folder(tmp_path / "mine"))
    leak(make_folder(tmp_path / "other"))

    results = [run("data", "check", "--data", f"folder={name}") for name in ("mine", "other")]

    assert [result.code for result in results] == [1, 1]
    assert "6 of 6 images of train have no label file" in results[0].out
    assert "mv -n other/images/train/p0.png other/aside/images/train" in " ".join(results[1].out.split())
    assert max(len(line.rstrip()) for result in results for line in result.out.splitlines()) <= 100


def test_warnings_alone_are_no_failure(run, tmp_path):
    root = make_folder(tmp_path / "mine")
    rewrite([labels(root)], lambda values: np.full_like(values, 255))

    result = run("data", "check", "--data", f"folder={root}")

    assert result.code == 0
    assert "0 errors, 1 warning, 0 notes" in result.out


def test_a_check_is_written_as_json_with_all_files(run, tmp_path):
    root = make_folder(tmp_path / "mine")
    for index in range(5):
        image(root, index).write_bytes(b"")

    run("data", "check", "--data", f"folder={root}", "--split", "train", "--json", tmp_path / "check.json")

    report = json.loads((tmp_path / "check.json").read_text())
    assert (report["errors"], report["pictures"]) == (1, {"train": 6})
    assert report["findings"][0]["code"] == "picture-empty"
    assert len(report["findings"][0]["files"]) == 5


def test_a_sheet_shows_images_as_a_recipe_crops_them(run, tmp_path):
    root, sheet = make_folder(tmp_path / "mine"), tmp_path / "sheet.png"
    (tmp_path / "recipe.yaml").write_text("data: {fit_px: [48, 96], crops_px: [[32, 64]]}")

    result = run(
        "data", "show", "--data", f"folder={root}", "--count", 2, "-o", sheet, "--recipe", tmp_path / "recipe.yaml"
    )

    assert (result.code, result.out) == (0, f"{sheet}\n")
    with Image.open(sheet) as opened:
        assert opened.width > 4 * 320
        assert opened.height > 2 * 240


def test_training_refuses_a_folder_whose_labels_are_one_too_high(run, tmp_path):
    root = make_folder(tmp_path / "mine")
    FAULTS["one too high"][0](root)
    (tmp_path / "recipe.yaml").write_text("train: {steps: 1}")

    result = run("train", tmp_path / "recipe.yaml", "--data", f"folder={root}", "-o", tmp_path / "run")

    assert result.code == 1
    assert "labels are one too high" in result.err
    assert "cgrseg data check" in result.err
    assert not (tmp_path / "run").exists()
