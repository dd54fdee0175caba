"""Masks by polygons and by runs, against what they mean and what COCO's own tools write."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cgrseg.data.datasets.labelled import Pair
from cgrseg.data.datasets.masks import MaskReader, decode_mask, fill_polygon, run_lengths
from cgrseg.errors import DatasetError


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths column by column, beginning outside, counted one pixel at a time."""
    runs, is_inside = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != is_inside:
            runs.append(0)
            is_inside = not is_inside
        runs[-1] += 1
    return runs


def is_inside(x: float, y: float, points: list[tuple[float, float]]) -> bool:
    """The even-odd rule: a ray to the left crosses the outline an odd number of times."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 <= y) != (y1 <= y):
            crossings += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
    return crossings % 2 == 1


@settings(deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 6))))
def test_runs_give_back_the_mask_they_were_counted_from(mask):
    decoded = decode_mask({"size": list(mask.shape), "counts": runs_of(mask)}, mask.shape)

    assert np.array_equal(decoded, mask)


def test_the_text_of_cocos_own_tools_reads():
    mask = np.zeros((100, 12), bool)
    mask[10:70, 3:9] = True
    mask[20:40, 5] = False
    text = "f9l1X100^N\\Od0d0n00000R9"  # pycocotools 2.0.11, mask.encode

    assert run_lengths(text) == runs_of(mask)
    assert np.array_equal(decode_mask({"size": [100, 12], "counts": text}, (100, 12)), mask)


@pytest.mark.parametrize(
    ("corners", "filled"),
    [
        ([(1, 1), (3, 1), (3, 3), (1, 3)], ["....", ".##.", ".##.", "...."]),
        ([(0, 0), (4, 0), (4, 4), (0, 4)], ["####", "####", "####", "####"]),
        ([(0, 0), (4, 0), (0, 4)], ["###.", "##..", "#...", "...."]),
        ([(-9, -9), (2, -9), (2, 9), (-9, 9)], ["##..", "##..", "##..", "##.."]),
        ([(0.6, 0.6), (2.4, 0.6), (2.4, 2.4), (0.6, 2.4)], ["....", ".#..", "....", "...."]),
        ([(9, 9), (12, 9), (12, 12)], ["....", "....", "....", "...."]),
        ([(1, 1), (3, 3)], ["....", "....", "....", "...."]),
    ],
)
def test_a_polygon_fills_the_pixels_whose_centre_it_holds(corners, filled):
    inside = fill_polygon(np.array(corners, float), (4, 4))

    assert ["".join(".#"[pixel] for pixel in row) for row in inside.astype(int)] == filled


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 12), st.floats(-3, 9)), min_size=3, max_size=8))
def test_any_polygon_is_filled_as_the_even_odd_rule_says(points):
    inside = fill_polygon(np.array(points), (6, 9))

    expected = [[is_inside(x + 0.5, y + 0.5, points) for x in range(9)] for y in range(6)]
    assert np.array_equal(inside, expected)


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
        ([], "it has no outline; boxes are no labels"),
        ({"size": [3, 1], "counts": [3]}, r"its size is \[3, 1\] where the image's is \[1, 3\]"),
        ({"size": [1, 3], "counts": [1, 1]}, "its runs are 2 pixels long where 3 are needed"),
        ({"size": [1, 3], "counts": [4, -1]}, "its runs are 3 pixels long where 3 are needed"),
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
