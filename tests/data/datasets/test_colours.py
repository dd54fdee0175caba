"""A folder whose label maps are drawn in the colours of its palette."""

import json

import numpy as np
import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError

GRASS, SKY, VOID = (0, 128, 0), (70, 130, 180), (0, 0, 0)


@pytest.fixture
def photos(tmp_path):
    """A label map of 3 x 2 in the colours of two classes and of no label."""
    for folder in ("images/train", "annotations/train"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (3, 2)).save(tmp_path / "images/train/a.jpg")
    draw(tmp_path, [[GRASS, SKY, VOID], [SKY, SKY, GRASS]])
    describe(tmp_path)
    return tmp_path


def draw(root, colours, **options):
    Image.fromarray(np.array(colours, np.uint8)).save(root / "annotations/train/a.png", **options)


def describe(root, **changes):
    meta = {"classes": ["grass", "sky"], "palette": [GRASS, SKY], "ignore": [VOID, 255]}
    (root / "meta.json").write_text(json.dumps(meta | changes))


def labels_of(root):
    return open_dataset("folder", root, "train").labels(0).tolist()


def test_colours_become_classes(photos):
    assert labels_of(photos) == [[0, 1, 255], [1, 1, 0]]


def test_transparency_makes_no_difference_where_nothing_is_transparent(photos):
    draw(photos, [[(*GRASS, 255), (*SKY, 255), (*VOID, 255)]] * 2)

    assert labels_of(photos) == [[0, 1, 255]] * 2


def test_a_map_of_values_may_stand_beside_coloured_ones(photos):
    Image.new("RGB", (3, 2)).save(photos / "images/train/b.jpg")
    Image.fromarray(np.array([[0, 1, 255]] * 2, np.uint8)).save(photos / "annotations/train/b.png")

    dataset = open_dataset("folder", photos, "train")

    assert dataset.labels(1).tolist() == [[0, 1, 255]] * 2


def test_colours_of_no_class_are_counted_and_the_most_frequent_are_named(photos):
    draw(photos, [[(1, 2, 3), (1, 2, 3), GRASS], [(4, 5, 6), (7, 8, 9), (9, 9, 9)]])

    with pytest.raises(
        DatasetError, match=r"the colour \(1, 2, 3\) in 2, \(4, 5, 6\) in 1, \(7, 8, 9\) in 1 pixels and 1"
    ):
        labels_of(photos)


def test_a_jpeg_by_another_name_is_told_apart(photos):
    draw(photos, [[GRASS, SKY, VOID]] * 2, format="JPEG")

    with pytest.raises(Exception, match=r"a\.png is a JPEG, which changes the numbers of a label map"):
        labels_of(photos)


def test_without_a_palette_a_coloured_map_says_how_to_give_one(photos):
    (photos / "meta.json").unlink()
    (photos / "classes.txt").write_text("grass\nsky\n")

    with pytest.raises(DatasetError, match=r'a\.png holds colours; .* say in meta\.json what they mean: \{"classes"'):
        labels_of(photos)


@pytest.mark.parametrize("changes", [{"palette": [GRASS, GRASS]}, {"ignore": [SKY]}])
def test_a_colour_that_stands_for_two_things_is_refused(photos, changes):
    describe(photos, **changes)

    with pytest.raises(DatasetError, match=r"the colour \(.*\) of '(grass|sky)' stands for something else, too"):
        labels_of(photos)
