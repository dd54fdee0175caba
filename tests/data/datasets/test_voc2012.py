"""PASCAL VOC 2012, drawn in the layout of the release."""

import numpy as np
import pytest
from PIL import Image

from cgrseg.classes import published
from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError


@pytest.fixture
def devkit(tmp_path):
    """Palette PNGs for two listed images; a third image has no label map, as most of the release."""
    root = tmp_path / "VOCdevkit/VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for stem in ("2007_000032", "2007_000033", "2008_000001"):
        Image.new("RGB", (11, 2)).save(root / "JPEGImages" / f"{stem}.jpg")
    for stem in ("2007_000032", "2007_000033"):
        image = Image.fromarray(np.append(np.arange(21), 255).astype(np.uint8).reshape(2, 11))
        image.putpalette(np.array(published("voc2012").colours, np.uint8).tobytes())
        image.save(root / "SegmentationClass" / f"{stem}.png")
    for split, stems in (("train", "2007_000032"), ("val", "2007_000033"), ("trainval", "2007_000032\n2007_000033")):
        (root / "ImageSets/Segmentation" / f"{split}.txt").write_text(f"{stems}\n")
    return tmp_path


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_palette_places_are_classes_and_the_border_is_no_label(devkit, below):
    dataset = open_dataset("voc2012", devkit / below, "val")

    assert dataset.labels(0).ravel().tolist() == [*range(21), 255]
    assert dataset.classes.names[0] == "background"


@pytest.mark.parametrize(("split", "count"), [("train", 1), ("val", 1), ("trainval", 2)])
def test_the_lists_decide_which_images_count(devkit, split, count):
    assert len(open_dataset("voc2012", devkit, split)) == count


def test_a_missing_list_says_what_the_folder_should_hold(devkit):
    with pytest.raises(DatasetError, match=r"test\.txt: no such list; VOC2012 holds JPEGImages/, SegmentationClass/"):
        open_dataset("voc2012", devkit, "test")
