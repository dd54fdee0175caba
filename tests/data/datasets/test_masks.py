"""Masks of annotations: polygons and run lengths painted into label maps."""

import pickle
from pathlib import Path

import pytest

from cgrseg.data.datasets.labelled import Pair
from cgrseg.data.datasets.masks import MaskReader, decode_mask
from cgrseg.errors import DatasetError


def test_the_polygons_of_one_mask_join():
    two_squares = [[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 3, 1, 3, 3, 1, 3]]

    assert decode_mask(two_squares, (3, 3)).astype(int).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]


def test_later_masks_cover_earlier_ones():
    reader = MaskReader(
        {"a": (1, 3)}, {"a": [(7, {"size": [1, 3], "counts": [0, 2, 1]}), (8, [[1, 0, 3, 0, 3, 1, 1, 1]])]}, 9
    )
    pair = Pair("a", Path("a.jpg"), Path("all.json"))

    assert reader(pair).tolist() == [[7, 8, 8]]
    assert pickle.loads(pickle.dumps(reader))(pair).tolist() == [[7, 8, 8]]
    assert MaskReader({"a": (1, 3)}, {}, 9)(pair).tolist() == [[9, 9, 9]]


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ([], "it has no outline, and boxes are not labels"),
        ({"size": [3, 1], "counts": [3]}, r"its size is \[3, 1\], but the size of the image is \[1, 3\]"),
        ({"size": [1, 3], "counts": [1, 1]}, "its runs are 2 pixels long, but the image has 3"),
        ({"size": [1, 3], "counts": [4, -1]}, "its runs are 3 pixels long, but the image has 3"),
        ({"size": [1, 3], "counts": ""}, "0 pixels long"),
        ({"size": [1, 3]}, "'counts'"),
        ([[0, 0, 1]], "reshape"),
        ([["x", "y"]], "could not convert"),
        ([[0, 0, float("inf"), 0, 1, float("inf")]], "infinity"),
    ],
)
def test_a_malformed_mask_is_named_by_image_and_place(mask, reason):
    reader = MaskReader({"a": (1, 3)}, {"a": [(1, {"size": [1, 3], "counts": [3]}), (2, mask)]}, 0)

    with pytest.raises(DatasetError, match=rf"all\.json: mask 2 of a is malformed: .*{reason}"):
        reader(Pair("a", Path("a.jpg"), Path("all.json")))
