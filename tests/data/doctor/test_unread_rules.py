"""Findings about what a folder holds besides the files that are read."""

import json
import logging
import shutil

import numpy as np
import pytest
from PIL import Image
from support.tiny import RECIPE, draw_images

from cgrseg.classes import named
from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.trees import meant_split
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
        (["annotations/dev.json"], "warning", "1 label file is", "did you mean val?"),
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


LABELME = {"imageHeight": 8, "imageWidth": 8, "shapes": []}
SUPERVISELY = {"size": {"height": 8, "width": 8}, "objects": []}
BRUSH = "task-1-annotation-2-by-3-tag-cat-0.png"
TREES = {
    "inside": "images/train/a.jpg masks/training/a.png images/valid/b.jpg masks/validation/b.png",
    "outside": "train/images/a.jpg train/masks/a.png valid/images/b.jpg valid/masks/b.png",
    "begun": "train_images/a.jpg train_masks/a.png val_images/b.jpg val_masks/b.png",
    "mmsegmentation": "img_dir/train/a.jpg ann_dir/train/a.png",
    "deep": "images/night/a.jpg masks/night/a.png images/unlabelled/c.jpg",
    "Roboflow": "train/a.jpg train/a_mask.png train/_classes.csv valid/b.jpg valid/b_mask.png",
    "Roboflow in COCO's format": "train/a.jpg train/_annotations.coco.json valid/a.jpg valid/_annotations.coco.json",
    "COCO": "train2017/a.jpg annotations/instances_train2017.json",
    "Label Studio": "images/a.jpg result.json",
    "brush": f"images/1.jpg {BRUSH} {BRUSH.replace('2', '1')} project.json",
    "LabelMe": "a.jpg a.json",
    "Supervisely": "meta.json train/img/a.jpg train/ann/a.jpg.json val/img/a.jpg val/ann/a.jpg.json",
    "CVAT": "JPEGImages/a.jpg SegmentationClass/a.png SegmentationObject/a.png ImageSets/Segmentation/default.txt",
    "masks of classes": "images/a.jpg masks/cat/a.png masks/dog/a.png",
    "masks beside": "images/a.jpg cat/a.png dog/a.png",
}


def write_tree(root, files):
    """Files of 8 x 8 pixels, and JSON of the program that their names are of; a COCO file lists a.jpg."""
    coco = {"images": [{"id": 1, "file_name": "a.jpg", "height": 8, "width": 8}], "annotations": []}
    texts = {"classes.txt": "cat\ndog\n", "_classes.csv": "Pixel Value, Class\n0, cat\n", "default.txt": "a\n"}
    texts |= {"meta.json": '{"classes": [{"title": "cat"}]}', "project.json": "[]"}
    for name in files.split():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.name in texts:
            file.write_text(texts[file.name])
        elif file.suffix == ".json":
            of_image = SUPERVISELY if file.parent.name == "ann" else LABELME
            is_coco = "annotations" in file.stem or "instances" in file.stem or file.stem == "result"
            file.write_text(json.dumps(coco | {"categories": [{"id": 1, "name": "cat"}]} if is_coco else of_image))
        else:
            Image.fromarray(np.zeros((8, 8) if file.suffix == ".png" else (8, 8, 3), np.uint8)).save(file)


@pytest.mark.parametrize("name", TREES)
def test_no_file_that_is_read_is_named_whatever_the_layout(tmp_path, name):
    write_tree(tmp_path, TREES[name])

    assert len(open_dataset("folder", tmp_path, "train", classes=named(("cat", "dog")))) == 1
    assert unread_findings(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("inside", "images/val/c.jpg masks/val/c.png", "1 label file in masks/validation is"),
        ("inside", "images/dev/c.jpg", "1 image in images/dev is"),
        ("outside", "train/extra/c.jpg", "1 image in train/extra is"),
        ("outside", "dev/images/c.jpg", "1 image in dev is"),
        ("deep", "more/c.jpg", "1 image in more is"),
        ("mmsegmentation", "c.jpg", "1 image beside the folders is"),
        ("Roboflow", "train/more/c.jpg", "1 image in subfolders of train is"),
        ("Roboflow in COCO's format", "more/c.jpg", "1 image in more is"),
        ("COCO", "test2017/c.jpg", "1 image in test2017 is"),
        ("COCO", "annotations/captions.json", "1 label file in annotations, beside a JSON for all images, is"),
        ("Label Studio", "old/c.jpg", "1 image in old is"),
        ("brush", "old/c.jpg", "1 image in old is"),
        ("LabelMe", "c.json", "1 label file without image is"),
        ("Supervisely", "more/img/c.jpg", "1 image in more is"),
        ("CVAT", "JPEGImages/c.jpg", "1 image that no list names is"),
        ("masks of classes", "images/night/c.jpg", "1 image in subfolders of images is"),
        ("masks beside", "c.jpg", "1 image beside the folders is"),
    ],
)
def test_a_file_that_is_not_read_is_named_whatever_the_layout(tmp_path, name, more, sentence):
    write_tree(tmp_path, f"{TREES[name]} {more}")

    sentences = [finding.sentence for finding in unread_findings(tmp_path)]

    assert f"{sentence} left out" in sentences


def test_a_loop_of_links_ends(folder):
    (folder / "images/train/loop").symlink_to(folder, target_is_directory=True)

    (finding,) = unread_findings(folder)

    assert "in linked folders of images/train are left out" in finding.sentence


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

    assert finding.sentence == "2 images in subfolders of images are left out"


def test_training_says_first_what_is_left_out_and_so_does_a_check(folder, tmp_path, caplog):
    copy(folder, "images/train/0.png", "images/train/a.heic")

    with caplog.at_level(logging.WARNING):
        train(RECIPE, folder, tmp_path / "run")

    assert caplog.messages[0] == "1 file ending in .heic is left out (images/train/a.heic); save it as JPEG or PNG"
    assert "left-out" in [finding.code for finding in check_dataset("folder", folder).findings]


def test_a_split_of_another_name_is_named_where_opening_fails(folder):
    (folder / "images/train").rename(folder / "images/trainset")
    with pytest.raises(DatasetError, match=r"did you mean .*images/trainset\? a folder of train is called train or"):
        open_dataset("folder", folder, "train")


@pytest.mark.parametrize(("name", "of_labels"), [("training", "train"), ("train", "training")])
def test_the_folders_of_a_split_may_have_different_names(folder, name, of_labels):
    (folder / "images/train").rename(folder / "moved")
    (folder / "moved").rename(folder / "images" / name)
    (folder / "annotations/train").rename(folder / "annotations" / of_labels)

    assert len(open_dataset("folder", folder, "train")) == 6
    assert unread_findings(folder) == []


def test_a_split_may_have_folders_inside_if_its_labels_have_the_same(folder):
    shutil.move(folder / "images/train", folder / "moved/part")
    shutil.move(folder / "moved", folder / "images/train")
    with pytest.raises(DatasetError, match=r"6 of 12 have no image: .*give the label files the folders of"):
        open_dataset("folder", folder, "train")
    (finding, *_) = check_dataset("folder", folder).findings
    assert (finding.code, finding.fix[:36]) == ("no-label", "give the label files the folders of ")

    shutil.move(folder / "annotations/train", folder / "moved/part")
    shutil.move(folder / "moved", folder / "annotations/train")
    assert [pair.name for pair in open_dataset("folder", folder, "train").pairs][:2] == ["part/0", "part/1"]
    assert unread_findings(folder) == []


@pytest.mark.parametrize(
    ("name", "split"), [("valid", "val"), ("Validation", "val"), ("training", "train"), ("tst", "test"), ("night", "")]
)
def test_names_of_other_tools_mean_a_split(name, split):
    assert meant_split(name) == split
