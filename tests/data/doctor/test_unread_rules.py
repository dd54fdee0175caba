"""Findings about what a folder holds besides the files that are read."""

import logging
import shutil

import pytest
from support.tiny import RECIPE, draw_images

from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.folder import meant_split
from cgrseg.data.doctor import check_dataset, unread_findings
from cgrseg.errors import DatasetError
from cgrseg.training import train


@pytest.fixture
def folder(tmp_path):
    return draw_images(tmp_path / "photos")


def copy(folder, source, target):
    (folder / target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / source, folder / target)


def test_a_folder_of_files_that_are_all_read_has_no_finding(folder):
    assert unread_findings(folder) == []


@pytest.mark.parametrize(
    ("files", "severity", "sentence", "fix"),
    [
        (["images/train/night/a.png"], "warning", "1 image in subfolders of images/train is", "images/train itself"),
        (["annotations/val/x/a.png"], "warning", "1 label file in subfolders of annotations/val is", "itself"),
        (["images/valid/a.png"], "warning", "1 image in images/valid is", "did you mean val? there is a val already"),
        (["images/Testing/a.png"], "warning", "1 image in images/Testing is", "did you mean test? mv -n"),
        (["annotations/dev/a.png"], "warning", "1 label file in annotations/dev is", "did you mean val?"),
        (["annotations/validation.json"], "warning", "1 label file is", "did you mean val?"),
        (["images/night/a.png", "images/night/b.png"], "note", "2 images in images/night are", "a split of your own"),
        (["images/a.png"], "warning", "1 image in images itself, beside its splits, is", "into another split"),
        (["images/train/a.heic", "images/train/b.HEIC"], "warning", "2 files ending in .heic are", "as JPEG or PNG"),
        (["images/val/._0.png"], "warning", "1 hidden image is", "macOS"),
        (["images/train/0.json"], "warning", "1 file of other kinds (.json) is", "label files belong into"),
        (["testing/a.png"], "warning", "1 image in testing is", "did you mean test?"),
        (["more/deep/a.png"], "note", "1 image in more is", "nothing to do, unless"),
    ],
)
def test_a_file_in_another_place_is_named_with_what_to_do(folder, files, severity, sentence, fix):
    for file in files:
        copy(folder, "images/train/0.png", file)

    (finding,) = unread_findings(folder)

    assert (finding.severity, finding.code, finding.count) == (severity, "left-out", len(files))
    assert finding.sentence == f"{sentence} left out"
    assert fix.replace("into another split", "or another split") in finding.fix
    assert finding.files == tuple(sorted(files))


def test_images_in_linked_folders_are_counted(folder):
    (folder / "images/train/more").symlink_to(folder / "images/val", target_is_directory=True)

    (finding,) = unread_findings(folder)

    assert finding.sentence == "2 images in linked folders of images/train are left out"


def test_the_subfolders_of_a_folder_without_splits_are_named(folder):
    for part in ("images", "annotations"):
        shutil.move(folder / part / "val", folder / "moved" / part)
        shutil.move(folder / part / "train", folder / "flat" / part)
        shutil.rmtree(folder / part)
        shutil.move(folder / "flat" / part, folder / part)
    shutil.move(folder / "moved" / "images", folder / "images" / "monday")
    shutil.rmtree(folder / "moved")

    (finding,) = unread_findings(folder)

    assert finding.sentence == "2 images in the subfolder images/monday are left out"


def test_training_says_first_what_is_left_out_and_so_does_a_check(folder, tmp_path, caplog):
    copy(folder, "images/train/0.png", "images/train/a.heic")

    with caplog.at_level(logging.WARNING):
        train(RECIPE, folder, tmp_path / "run")

    assert caplog.messages[0] == "1 file ending in .heic is left out (images/train/a.heic); save it as JPEG or PNG"
    assert "left-out" in [finding.code for finding in check_dataset("folder", folder).findings]


def test_a_split_of_another_name_or_in_subfolders_is_named_where_opening_fails(folder):
    (folder / "images/train").rename(folder / "images/training")
    with pytest.raises(DatasetError, match=r"did you mean .*images/training\? its images belong into .*images/train,"):
        open_dataset("folder", folder, "train")

    shutil.move(folder / "images/training", folder / "images/train/part")
    with pytest.raises(DatasetError, match=r"holds no images, but its subfolders 6, such as .*; move them into"):
        open_dataset("folder", folder, "train")


@pytest.mark.parametrize(
    ("name", "split"), [("valid", "val"), ("Validation", "val"), ("training", "train"), ("tst", "test"), ("night", "")]
)
def test_names_of_other_tools_mean_a_split(name, split):
    assert meant_split(name) == split
