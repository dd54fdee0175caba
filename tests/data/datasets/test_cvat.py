"""Segmentation masks in the layout that CVAT exports."""

import shutil

import numpy as np
import pytest
from PIL import Image
from support.planted import label_map, noise

from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.folder import has_split
from cgrseg.data.doctor import check_dataset
from cgrseg.errors import DatasetError

COLOURS = np.array([(0, 0, 0), (128, 64, 128), (250, 50, 83)], np.uint8)
LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:128,64,128::\ncar:250,50,83:wheel,door:\n"
LISTS = "ImageSets/Segmentation"


def numbers(seed: int) -> np.ndarray:
    return np.where(label_map(seed) == 255, 0, label_map(seed)).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    """Six images, one of them in a folder of its own and one with a space in its name."""
    for folder in ("JPEGImages/day 2", "SegmentationClass/day 2", "SegmentationObject", LISTS):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    names = ["p0", "p1", "p2", "p3", "a photo", "day 2/p5"]
    for index, name in enumerate(names):
        Image.fromarray(noise(index)).save(tmp_path / f"JPEGImages/{name}.jpg", quality=95)
        Image.fromarray(COLOURS[numbers(index)]).save(tmp_path / f"SegmentationClass/{name}.png")
    (tmp_path / LISTS / "default.txt").write_text('p0\np1\np2\np3\n"a photo"\nday 2/p5\n')
    return tmp_path


def test_an_export_of_cvat_is_read_as_it_is(root):
    dataset = open_dataset("folder", root, "train")

    assert dataset.classes.names == ("background", "road", "car")
    assert dataset.classes.colours[2] == (250, 50, 83)
    assert [pair.name for pair in dataset.pairs] == ["a photo", "day 2/p5", "p0", "p1", "p2", "p3"]
    for index, seed in enumerate((4, 5, 0, 1, 2, 3)):
        assert np.array_equal(dataset.labels(index), numbers(seed))


def test_an_export_of_cvat_passes_its_check(root):
    report = check_dataset("folder", root)

    assert [finding.code for finding in report.findings] == ["no-val"]
    assert "ImageSets/Segmentation/val.txt" in report.findings[0].fix
    assert report.images == {"train": 6}


def test_palette_files_mean_their_colours_and_gray_files_the_order_of_the_classes(root):
    palette = Image.fromarray(2 - numbers(0))
    palette.putpalette(COLOURS[::-1].tobytes())
    palette.save(root / "SegmentationClass/p0.png")
    Image.fromarray(numbers(1)).save(root / "SegmentationClass/p1.png")

    dataset = open_dataset("folder", root, "train")

    assert np.array_equal(dataset.labels(2), numbers(0))
    assert np.array_equal(dataset.labels(3), numbers(1))
    assert [finding.code for finding in check_dataset("folder", root).findings] == ["no-val"]


@pytest.mark.parametrize(("name", "split"), [("val", "val"), ("Validation", "val"), ("Train", "train"), ("odd", "odd")])
def test_lists_are_the_splits_whatever_their_case(root, name, split):
    (root / LISTS / f"{name}.txt").write_text("p3\n")

    assert has_split(root, split)
    assert [pair.name for pair in open_dataset("folder", root, split).pairs] == ["p3"]


def test_without_lists_all_images_are_train(root):
    shutil.rmtree(root / "ImageSets")

    assert len(open_dataset("folder", root, "train")) == 6
    assert not has_split(root, "val")


def test_a_missing_list_names_those_there_are(root):
    with pytest.raises(DatasetError, match=r"has no list of 'val'; its lists: default"):
        open_dataset("folder", root, "val")


def test_a_frame_without_mask_is_a_negative(root):
    (root / "SegmentationClass/p1.png").unlink()

    dataset = open_dataset("folder", root, "train")
    findings = {finding.code: finding for finding in check_dataset("folder", root).findings}

    assert len(dataset) == 6
    assert not dataset.labels(3).any()
    assert set(findings) == {"no-val", "negatives"}
    assert findings["negatives"].files == ("JPEGImages/p1.jpg",)


def test_a_frame_without_mask_is_left_out_if_nothing_is_background(root, caplog):
    (root / "SegmentationClass/p1.png").unlink()
    (root / "labelmap.txt").write_text(LABELMAP.replace("background:", "ground:"))

    dataset = open_dataset("folder", root, "train")
    findings = {finding.code: finding for finding in check_dataset("folder", root).findings}

    assert len(dataset) == 5
    assert "1 image has no mask and teaches nothing, since no class is called background: left out" in caplog.text
    assert findings["no-mask"].severity == "warning"
    assert findings["no-mask"].files == ("JPEGImages/p1.jpg",)


def test_an_image_that_is_missing_is_named(root):
    (root / "JPEGImages/p1.jpg").unlink()

    (finding, _) = check_dataset("folder", root).findings

    assert (finding.code, finding.count) == ("no-picture", 1)
    assert "1 of 6 names of train has no image" in finding.sentence
    with pytest.raises(DatasetError, match=r"1 of 6 have no image: p1"):
        open_dataset("folder", root, "train")


def test_masks_without_images_say_how_to_get_them(root):
    shutil.rmtree(root / "JPEGImages")

    with pytest.raises(DatasetError, match="export them with the images included"):
        open_dataset("folder", root, "train")
    assert check_dataset("folder", root).findings[0].code == "layout"


@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_a_colour_that_the_labelmap_does_not_list_is_named(root, mode):
    colours = COLOURS[numbers(0)].copy()
    colours[:4, :4] = 9, 9, 9
    Image.fromarray(colours).convert(mode, palette=Image.Palette.ADAPTIVE).save(root / "SegmentationClass/p0.png")

    finding = check_dataset("folder", root).findings[0]

    assert finding.code == "colour-unknown"
    assert "(9, 9, 9)" in finding.sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("background\n", "'background' names no class with a colour; a line is name:red,green,blue"),
        ("a:1,2,3::\nb:1,2,3::\n", r"\(1, 2, 3\) is no colour for 'a'"),
        ("a:1,2,300::\n", r"\(1, 2, 300\) is no colour"),
        ("a:1,2,3::\na:1,2,4::\n", "'a' is listed twice"),
        ("# nothing\n", "names 0 classes"),
    ],
)
def test_a_slip_in_the_labelmap_is_one_sentence(root, text, sentence):
    (root / "labelmap.txt").write_text(text)

    with pytest.raises(DatasetError, match=sentence):
        open_dataset("folder", root, "train")


def test_a_labelmap_gives_its_colours_to_images_and_annotations_too(root):
    (root / "JPEGImages").rename(root / "images")
    (root / "SegmentationClass").rename(root / "annotations")

    assert np.array_equal(open_dataset("folder", root, "train").labels(1), numbers(0))


def test_classes_named_twice_are_refused(root):
    (root / "classes.txt").write_text("background\nroad\ncar\n")

    with pytest.raises(DatasetError, match=r"names its classes twice, in classes\.txt and in labelmap\.txt"):
        open_dataset("folder", root, "train")
