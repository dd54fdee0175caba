"""COCO-Stuff 164k: the official layout made small, and the real files."""

import numpy as np
import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError

GAPS = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
"""Ids of COCO that no image has."""


def official_labels(raw: np.ndarray) -> np.ndarray:
    """Each id minus the gaps below it; 255 stays."""
    labels = np.full(raw.shape, 255)
    for value in range(182):
        labels[raw == value] = value - sum(gap < value for gap in GAPS)
    return labels


@pytest.fixture
def cocostuff(tmp_path):
    for kind in ("images", "annotations"):
        (tmp_path / kind / "val2017").mkdir(parents=True)
    Image.new("RGB", (3, 2)).save(tmp_path / "images/val2017/000000000139.jpg")
    values = np.array([[0, 10, 12], [91, 181, 255]], np.uint8)
    Image.fromarray(values).save(tmp_path / "annotations/val2017/000000000139.png")
    return tmp_path


def test_ids_with_gaps_become_171_classes_without(cocostuff):
    assert open_dataset("cocostuff164k", cocostuff, "val").labels(0).tolist() == [[0, 10, 11], [80, 170, 255]]


def test_maps_that_a_converter_left_beside_the_official_ones_are_passed_over(cocostuff):
    Image.new("L", (3, 2)).save(cocostuff / "annotations/val2017/000000000139_labelTrainIds.png")

    dataset = open_dataset("cocostuff164k", cocostuff, "val")

    assert [pair.labels.name for pair in dataset.pairs] == ["000000000139.png"]


def test_an_id_that_no_image_has_is_refused(cocostuff):
    Image.new("L", (3, 2), 68).save(cocostuff / "annotations/val2017/000000000139.png")

    with pytest.raises(DatasetError, match="holds the value 68 in 6 pixels"):
        open_dataset("cocostuff164k", cocostuff, "val").labels(0)


@pytest.mark.parametrize(
    ("sample", "split", "count"),
    [("coco_stuff164k", "train", 13), ("coco_stuff164k", "val", 23), ("coco_stuff164k_more", "train", 100)],
)
def test_the_real_files_read_pixel_for_pixel(shared_data, sample, split, count):
    dataset = open_dataset("cocostuff164k", shared_data / sample, split)
    files = sorted((shared_data / sample / "annotations" / f"{split}2017").glob("*.png"))

    assert len(dataset) == len(files) == count
    for index in range(0, count, 1 if count < 100 else 5):
        raw = np.array(Image.open(files[index]))
        assert np.array_equal(dataset.labels(index), official_labels(raw))


def test_a_gray_jpeg_is_an_image_like_any_other(shared_data):
    dataset = open_dataset("cocostuff164k", shared_data / "coco_stuff164k_more", "train")
    index = [pair.name for pair in dataset.pairs].index("000000010125")

    with Image.open(dataset.pairs[index].image) as image:
        assert image.mode == "L"
    assert dataset.image(index).shape == (*dataset.labels(index).shape, 3)
