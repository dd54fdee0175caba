import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cgrseg.config import DataConfig, HoldOut, Recipe
from cgrseg.weights import load_weights, save_weights


def test_scores_are_printed_in_percent_and_written_as_shares(run, weights, labelled, tmp_path):
    result = run("evaluate", weights, "--data", f"folder={labelled}", "--json", tmp_path / "scores.json")

    report = json.loads((tmp_path / "scores.json").read_text())
    assert result.code == 0
    assert (report["data"], report["split"], report["pictures"]) == ("folder", "val", 2)
    assert 0 <= report["miou"] <= 1
    assert list(report["iou"]) == ["sky", "road", "car"]
    assert f"{100 * report['miou']:.1f}" in result.out
    assert all(name in result.out for name in report["iou"])


def test_another_split_is_scored_by_name(run, weights, labelled, tmp_path):
    run("evaluate", weights, "--data", f"folder={labelled}", "--split", "train", "--json", tmp_path / "scores.json")

    assert json.loads((tmp_path / "scores.json").read_text())["pictures"] == 4


@pytest.fixture
def trained_with(weights, tmp_path) -> Callable[[HoldOut], Path]:
    """Writes the weights with a recipe that holds these images out of its data set."""

    def write(hold_out: HoldOut) -> Path:
        model, info = load_weights(weights)
        recipe = Recipe(model=info.model, data=DataConfig(kind="folder", hold_out=hold_out))
        path = tmp_path / "trained.safetensors"
        save_weights(path, model, replace(info, recipe=recipe))
        return path

    return write


@pytest.mark.parametrize("hold_out", [("0", "2"), ("1",), "1"])
def test_held_out_images_leave_train_of_the_data_set_that_names_them(
    run, labelled, tmp_path, trained_with, hold_out, caplog
):
    caplog.set_level(logging.INFO)
    arguments = ("--data", f"folder={labelled}", "--split", "train", "--json", tmp_path / "scores.json")
    result = run("evaluate", trained_with(hold_out), *arguments)

    assert result.code == 0, result.err
    assert json.loads((tmp_path / "scores.json").read_text())["pictures"] == 4 - len(hold_out)
    assert "is scored whole" not in caplog.text


@pytest.mark.parametrize("hold_out", [("elsewhere",), ("0", "elsewhere"), "0001TP"])
def test_train_of_another_data_set_is_scored_whole_with_a_sentence(
    run, labelled, tmp_path, trained_with, hold_out, caplog
):
    caplog.set_level(logging.INFO)
    arguments = ("--data", f"folder={labelled}", "--split", "train", "--json", tmp_path / "scores.json")
    result = run("evaluate", trained_with(hold_out), *arguments)

    assert result.code == 0, result.err
    assert json.loads((tmp_path / "scores.json").read_text())["pictures"] == 4
    assert f"{labelled} is scored whole: the images that the weights' recipe holds out are not in it" in caplog.text


def test_the_split_holdout_of_another_data_set_is_a_mistake(run, labelled, trained_with):
    result = run("evaluate", trained_with(("elsewhere",)), "--data", f"folder={labelled}", "--split", "holdout")

    assert result.code == 1
    assert "elsewhere" in result.err


def test_a_split_that_is_not_there_is_a_mistake_that_lists_the_others(run, weights, labelled):
    result = run("evaluate", weights, "--data", f"folder={labelled}", "--split", "test")

    assert result.code == 1
    assert "train, val" in result.err


def test_a_strange_label_names_its_file(run, weights, labelled):
    broken = labelled / "annotations/val/0.png"
    Image.new("L", (64, 48), 7).save(broken)

    result = run("evaluate", weights, "--data", f"folder={labelled}")

    assert result.code == 1
    assert str(broken) in result.err
    assert "7" in result.err


def test_old_classes_are_scored_as_the_new_ones_of_a_file(run, weights, labelled, tmp_path):
    (labelled / "classes.txt").write_text("clouds\nway\nvan\n", encoding="utf-8")
    (tmp_path / "merge.yaml").write_text("sky: [clouds]\nroad: [way]\ncar: [van]\n", encoding="utf-8")

    without = run("evaluate", weights, "--data", f"folder={labelled}")
    merged = run("evaluate", weights, "--data", f"folder={labelled}", "--merge", tmp_path / "merge.yaml")

    assert without.code == 1
    assert "a class 'sky' where folder has 'clouds'" in without.err
    assert without.err.endswith("(--merge FILE)\n")
    assert merged.code == 0


def test_a_merge_file_that_is_not_there_is_a_mistake(run, weights, labelled):
    result = run("evaluate", weights, "--data", f"folder={labelled}", "--merge", "nowhere.yaml")

    assert result.code == 1
    assert "nowhere.yaml: no such file of classes to merge" in result.err


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("camvd=.", "did you mean 'camvid'?"),
        ("satellite=.", "the kinds are camvid, ade20k, cocostuff10k, "),
        ("pictures", "write KIND=PATH, for example camvid=pictures"),
        ("camvid=nowhere", "nowhere: no such folder"),
    ],
)
def test_data_is_kind_and_path(run, weights, data, message):
    result = run("evaluate", weights, "--data", data)

    assert result.code == 2
    assert message in result.err


def test_edges_and_calibration_come_when_asked_for(run, weights, labelled, tmp_path):
    arguments = ("--boundary", "--calibration", "--json", tmp_path / "scores.json")
    result = run("evaluate", weights, "--data", f"folder={labelled}", *arguments)

    report = json.loads((tmp_path / "scores.json").read_text())
    assert result.code == 0
    assert "boundary" in result.out
    assert f"{100 * report['boundary']['miou']:.1f}" in result.out
    assert "calibration error" in result.out
    assert sum(row["pixels"] for row in report["calibration"]["bins"]) == 2 * 48 * 64


def test_two_models_are_scored_on_the_same_images_and_compared(run, weights, labelled, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ("--against", weights, "--boundary", "--json", tmp_path / "scores.json")
    result = run("evaluate", weights, "--data", f"folder={labelled}", *arguments)

    report = json.loads((tmp_path / "scores.json").read_text())
    assert result.code == 0
    assert report["against"]["weights"] == str(weights)
    assert report["against"]["iou"] == report["iou"]
    assert report["comparison"]["miou_interval"] == [0, 0]
    assert "mIoU: +0.00 (+0.00 to +0.00)" in result.out
    assert "images better 0, worse 0, equal 2" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_a_rival_of_other_classes_is_refused_before_anything_is_scored(run, weights, labelled):
    result = run("evaluate", weights, "--against", "cgrseg-t-camvid", "--data", f"folder={labelled}")

    assert result.code == 1
    assert "11 classes but folder has 3" in result.err


@pytest.mark.parametrize(
    ("arguments", "protocol"),
    [
        ((), "whole image, short side 64, long side at most 2048"),
        (("--paper-exact",), "whole image, short side 64, long side at most 2048; two-step resize"),
        (
            ("--protocol", "sliding"),
            "sliding windows 512 x 512, stride 341 x 341, short side 64, long side at most 2048",
        ),
    ],
)
def test_the_protocol_is_named_in_what_is_printed_and_written(run, weights, labelled, tmp_path, arguments, protocol):
    result = run("evaluate", weights, "--data", f"folder={labelled}", "--json", tmp_path / "scores.json", *arguments)

    assert json.loads((tmp_path / "scores.json").read_text())["protocol"] == protocol
    assert protocol in " ".join(result.out.split())
    assert "2 images in " in result.err


def test_workers_and_batches_do_not_change_the_report(run, weights, labelled, tmp_path):
    for name, pace in (("one", ("--workers", 0)), ("many", ("--workers", 3, "--batch", 2))):
        run("evaluate", weights, "--data", f"folder={labelled}", "--json", tmp_path / f"{name}.json", *pace)

    one, many = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "many"))
    assert many["miou"] == pytest.approx(one["miou"], abs=1e-3)
    assert one.keys() == many.keys()


def test_weights_are_calibrated_into_a_file(run, weights, labelled, tmp_path):
    target = tmp_path / "calibrated.safetensors"
    arguments = ("--fit-temperature", target, "--json", tmp_path / "scores.json")
    result = run("evaluate", weights, "--data", f"folder={labelled}", *arguments)

    report = json.loads((tmp_path / "scores.json").read_text())["calibrated"]
    description = run("info", target).out
    assert result.code == 0
    assert f"temperature {report['temperature']:.3f}, written to {target}" in result.out.replace("\n", "")
    assert f"temperature: {report['temperature']}" in description
    assert report["file"] == str(target)
    assert len(report["halves"]) == 2


def test_weights_that_ship_with_the_package_are_calibrated_into_another_file(run, labelled):
    arguments = ("--fit-temperature", "cgrseg-t-camvid")
    result = run("evaluate", "cgrseg-t-camvid", "--data", f"folder={labelled}", *arguments)

    assert result.code == 1
    assert "cgrseg-t-camvid: calibrated weights go to a file whose name ends in .safetensors" in result.err


def test_each_key_of_the_report_is_explained_in_the_docs(run, weights, labelled, tmp_path):
    target = ("--fit-temperature", tmp_path / "calibrated.safetensors")
    arguments = ("--against", weights, "--boundary", "--calibration", *target, "--json", tmp_path / "scores.json")
    page = (Path(__file__).parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")

    run("evaluate", weights, "--data", f"folder={labelled}", *arguments)

    report = json.loads((tmp_path / "scores.json").read_text())
    nested = [report[name] for name in ("miou_by_rule", "bootstrap", "boundary", "comparison", "calibrated")]
    nested += report["calibrated"]["halves"]
    assert not [key for tree in (report, *nested) for key in tree if f"`{key}`" not in page]
