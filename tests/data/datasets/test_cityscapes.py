"""Cityscapes, drawn in the layout of the release."""

import numpy as np
import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError

SCORED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


@pytest.fixture
def cityscapes(tmp_path):
    """Two cities, one frame each; the files that the release has beside the label maps hold other values."""
    for city in ("bochum", "aachen"):
        frame = f"{city}_000000_000019"
        images, labels = tmp_path / "leftImg8bit/train" / city, tmp_path / "gtFine/train" / city
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        Image.new("RGB", (17, 2)).save(images / f"{frame}_leftImg8bit.png")
        values = np.arange(34, dtype=np.uint8).reshape(2, 17)
        Image.fromarray(values).save(labels / f"{frame}_gtFine_labelIds.png")
        Image.fromarray(values.astype(np.uint16) * 1000).save(labels / f"{frame}_gtFine_instanceIds.png")
        Image.new("RGBA", (17, 2)).save(labels / f"{frame}_gtFine_color.png")
        (labels / f"{frame}_gtFine_polygons.json").write_text("{}")
    return tmp_path


def test_the_values_that_are_scored_become_classes_in_their_order(cityscapes):
    labels = open_dataset("cityscapes", cityscapes, "train").labels(0).ravel()

    assert [int(labels[value]) for value in SCORED] == list(range(19))
    assert {int(labels[value]) for value in set(range(34)) - set(SCORED)} == {255}


def test_frames_of_all_cities_pair_by_name(cityscapes):
    pairs = open_dataset("cityscapes", cityscapes, "train").pairs

    assert [pair.name for pair in pairs] == ["aachen_000000_000019", "bochum_000000_000019"]
    assert [pair.labels.name for pair in pairs] == [f"{pair.name}_gtFine_labelIds.png" for pair in pairs]
    assert [pair.image.name for pair in pairs] == [f"{pair.name}_leftImg8bit.png" for pair in pairs]


def test_the_test_split_has_no_labels(cityscapes):
    with pytest.raises(DatasetError, match="cityscapes has no split 'test' with labels; it has train, val"):
        open_dataset("cityscapes", cityscapes, "test")


def test_half_of_the_release_says_what_is_missing(cityscapes):
    (cityscapes / "gtFine").rename(cityscapes / "gtCoarse")

    with pytest.raises(
        DatasetError, match=r"gtFine/train: no such folder; Cityscapes holds leftImg8bit/<split>/<city>/"
    ):
        open_dataset("cityscapes", cityscapes, "train")
