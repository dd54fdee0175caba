"""Planted faults, each of which must be found, named and given the line that fixes it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from support.faults import FAULTS
from support.planted import (
    COUNTS,
    HEIGHT,
    WIDTH,
    all_labels,
    copy_within,
    image,
    label_map,
    labels,
    leak,
    make_folder,
    noise,
    renamed,
    rewrite,
)

from cgrseg.data.datasets import open_dataset
from cgrseg.data.doctor import Finding, Report, check_dataset, require_sound
from cgrseg.data.doctor.examination import between
from cgrseg.data.similarity import image_bits
from cgrseg.errors import DatasetError


@pytest.fixture
def root(tmp_path) -> Path:
    """A folder without fault."""
    return make_folder(tmp_path / "mine")


def found(report: Report, code: str) -> Finding:
    codes = [finding.code for finding in report.findings]
    assert code in codes, f"{code} is not among {report.findings}"
    return report.findings[codes.index(code)]


def test_a_folder_without_fault_has_no_findings(root):
    report = check_dataset("folder", root)

    assert report.findings == ()
    assert report.images == COUNTS


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_with_its_remedy(root, fault):
    plant, code, sentence, fix = FAULTS[fault]
    plant(root)

    finding = found(check_dataset("folder", root), code)

    assert sentence in finding.sentence
    assert fix in finding.fix
    assert not finding.sentence.endswith(".")
    assert finding.count > 0


def test_a_folder_without_val_is_told_that_it_will_be_split(root):
    for part in ("images", "annotations"):
        shutil.rmtree(root / part / "val")

    report = check_dataset("folder", root)

    assert report.images == {"train": COUNTS["train"]}
    assert [finding.code for finding in report.findings] == ["no-val"]
    assert found(report, "no-val").severity == "note"


def test_a_val_that_is_asked_for_must_be_there(root):
    for part in ("images", "annotations"):
        shutil.rmtree(root / part / "val")

    assert found(check_dataset("folder", root, ("train", "val")), "no-folder").severity == "error"


def test_a_folder_without_splits_is_checked_as_one(root):
    for part in ("images", "annotations"):
        for file in (root / part / "train").iterdir():
            file.rename(root / part / file.name)
        shutil.rmtree(root / part / "train")
        shutil.rmtree(root / part / "val")
    next((root / "annotations").iterdir()).unlink()

    report = check_dataset("folder", root)

    assert report.images == {"train": COUNTS["train"] - 1}
    assert [finding.code for finding in report.findings] == ["no-label", "no-val"]


def test_every_file_fault_names_the_file(root):
    image(root, 2).write_bytes(b"")

    finding = found(check_dataset("folder", root), "picture-empty")

    assert (finding.examples, finding.count) == (("images/train/p2.png",), 1)


def test_other_faults_are_found_beside_a_missing_label(root):
    labels(root).unlink()
    image(root, 2).write_bytes(b"")

    codes = {finding.code for finding in check_dataset("folder", root).findings}

    assert codes == {"no-label", "picture-empty"}


def test_no_remedy_removes_the_file_that_holds_all_labels(root):
    FAULTS["classes differ"][0](root)
    image(root).write_bytes(b"")

    fix = found(check_dataset("folder", root, ("train",)), "picture-empty").fix

    assert fix.endswith(f"mv -n {image(root)} {root}/aside/images/train")


@pytest.mark.parametrize("fault", ["label in RGB", "label small", "label stretched", "label .pgm"])
def test_the_command_that_is_given_mends_the_fault(root, fault):
    plant, code, _, _ = FAULTS[fault]
    plant(root)
    fix = found(check_dataset("folder", root), code).fix
    command = fix[fix.index("python -c") :].replace("python", sys.executable, 1)
    command = command.replace(" ...", " " + " ".join(map(str, all_labels(root)[6:])))

    subprocess.run(command, shell=True, check=True)
    for pgm in (root / "annotations").rglob("*.pgm"):
        pgm.unlink()
    if (root / "fixed").exists():
        shutil.copytree(root / "fixed", root, dirs_exist_ok=True)

    assert check_dataset("folder", root).count("error") == 0


def test_the_line_that_renames_labels_mends_their_names(root):
    renamed(root)
    report = check_dataset("folder", root)

    for finding in [finding for finding in report.findings if finding.code == "no-label"]:
        subprocess.run(["bash", "-c", finding.fix], check=True)

    assert check_dataset("folder", root).findings == ()


@pytest.mark.parametrize("fault", ["one too high", "zero is no label", "spread for the eye", "masks of 0 and 255"])
def test_the_line_for_meta_json_mends_the_values(root, fault):
    plant, code, _, _ = FAULTS[fault]
    plant(root)
    fix = found(check_dataset("folder", root), code).fix
    line = fix[fix.index("{") : fix.index("}") + 1]
    (root / "classes.txt").unlink()
    (root / "meta.json").write_text(line, encoding="utf-8")

    assert check_dataset("folder", root).findings == ()


def test_errors_come_before_warnings_and_notes(root):
    copy_within(root, with_labels=True)
    image(root, 3).write_bytes(b"")
    rewrite([labels(root, 4)], lambda values: values.astype(np.uint16))

    report = check_dataset("folder", root)

    assert [finding.severity for finding in report.findings] == ["error", "warning", "note"]
    assert [report.count(severity) for severity in ("error", "warning", "note")] == [1, 1, 1]


def test_classes_are_counted_in_pixels_and_images(root):
    rewrite([labels(root, index) for index in range(6)], np.zeros_like)

    grass, road, _ = check_dataset("folder", root, ("train",)).classes

    assert (grass.pixels, grass.images) == ({"train": 6 * HEIGHT * WIDTH}, {"train": 6})
    assert (road.pixels, road.images) == ({"train": 0}, {"train": 0})


def test_the_report_is_plain_data(root):
    leak(root)

    tree = json.loads(json.dumps(check_dataset("folder", root).as_tree()))

    assert (tree["data"], tree["pictures"], tree["errors"]) == ("folder", COUNTS, 1)
    assert tree["findings"][0]["files"] == ["images/train/p0.png = images/val/p1.png"]
    assert tree["classes"][0]["name"] == "grass"
    assert tree["classes"][0]["pictures"] == COUNTS


def test_progress_counts_the_pairs_of_all_splits(root):
    seen: list[tuple[int, int]] = []

    check_dataset("folder", root, show=lambda done, total: seen.append((done, total)))

    assert seen == [(done, 9) for done in range(1, 10)]


def test_classes_may_be_merged(root):
    merge = {"ground": ("grass", "road"), "ignore": ("sky",)}

    (ground,) = check_dataset("folder", root, ("train",), merge).classes
    lacking = check_dataset("folder", root, ("train",), {"ground": ("grass",)})

    assert ground.images == {"train": 6}
    assert found(lacking, "merge").sentence.startswith("merge leaves out road, sky")


def test_frames_a_second_apart_are_no_near_duplicates(root):
    scene = cv2.resize(noise(0), (4 * WIDTH, 4 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    moved = scene[20 : 20 + 2 * HEIGHT, 40 : 40 + 2 * WIDTH]
    bits = [np.asarray(image_bits(each)) for each in (scene, moved, scene // 2 + 40)]

    distances = [np.count_nonzero(np.unpackbits(bits[0]) != np.unpackbits(other)) for other in bits[1:]]

    assert distances[0] > 24 > distances[1]


def test_flat_images_are_no_duplicates_of_each_other():
    assert image_bits(np.full((40, 40, 3), 200, np.uint8)) is None


def test_drawn_borders_hold_no_in_between_values():
    drawn = np.zeros((20, 20), np.uint8)
    drawn[5:15, 5:15] = 9

    share, values = between(cv2.GaussianBlur(drawn, (5, 5), 0))

    assert between(drawn) == (0, 0)
    assert share > 0.5
    assert values > 4


def test_an_incomplete_release_is_told_by_its_reader(tmp_path):
    (tmp_path / "images").mkdir()

    finding = found(check_dataset("ade20k", tmp_path), "layout")

    assert "no such folder" in finding.sentence
    assert "ADEChallengeData2016.zip" in finding.fix


def test_maps_of_ade20k_that_were_shifted_already_are_told(tmp_path):
    for split in ("training", "validation"):
        for folder, suffix in (("images", "jpg"), ("annotations", "png")):
            (tmp_path / folder / split).mkdir(parents=True)
            pixels = noise(len(split)) if folder == "images" else label_map(len(split))
            Image.fromarray(pixels).save(tmp_path / folder / split / f"ADE_{split}_1.{suffix}")

    finding = found(check_dataset("ade20k", tmp_path), "shifted-already")

    assert "lowered by 1 already" in finding.sentence
    assert "kind `folder`" in finding.fix


@pytest.mark.parametrize(
    "fault", ["label in colours", "one too high", "masks of 0 and 255", "label cut", "label smoothed"]
)
def test_training_refuses_what_would_spoil_it(root, fault):
    FAULTS[fault][0](root)
    datasets = [open_dataset("folder", root, split) for split in COUNTS]

    with pytest.raises(DatasetError, match="`cgrseg data check` shows all of them"):
        require_sound(datasets, root)


def test_training_accepts_a_folder_with_mere_warnings(root):
    copy_within(root, with_labels=False)
    rewrite([labels(root, 4)], lambda values: np.full_like(values, 255))

    require_sound([open_dataset("folder", root, split) for split in COUNTS], root)


REAL = {
    "ADEChallengeData2016": ("ade20k", ("train", "val")),
    "coco_stuff164k": ("cocostuff164k", ("train", "val")),
    "coco_stuff164k_more": ("cocostuff164k", ("train",)),
    "coco_stuff10k_emulated": ("cocostuff10k", ("train", "val")),
    "CamVid_official_sample": ("camvid", ("train", "val")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_clean_real_sets_give_no_warning(shared_data, name):
    kind, splits = REAL[name]

    report = check_dataset(kind, shared_data / name, splits)

    assert {finding.severity for finding in report.findings} <= {"note"}, report.findings
    assert "part" in {finding.code for finding in report.findings}


@pytest.mark.slow
def test_all_of_camvid_gives_no_finding_although_its_frames_follow_each_other(shared_data):
    path = shared_data / "camvid"

    assert check_dataset("folder", path).findings == ()
