"""Run lengths, in both directions and as COCO's own tools write them; polygons, filled and traced."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cgrseg.data.masks import decode_counts, decode_rle, encode_counts, fill_polygon, find_runs, trace_polygons

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6))


def runs_of(mask: np.ndarray) -> list[int]:
    """Run lengths column by column, beginning outside, counted one pixel at a time."""
    runs, is_inside = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != is_inside:
            runs.append(0)
            is_inside = not is_inside
        runs[-1] += 1
    return runs


@settings(deadline=None)
@given(arrays.arrays(bool, SHAPES))
def test_runs_give_back_the_mask_they_were_counted_from(mask):
    decoded = decode_rle(runs_of(mask), mask.shape)

    assert np.array_equal(decoded, mask)


def test_the_text_of_cocos_own_tools_is_read_and_written():
    mask = np.zeros((100, 12), bool)
    mask[10:70, 3:9] = True
    mask[20:40, 5] = False
    text = "f9l1X100^N\\Od0d0n00000R9"  # pycocotools 2.0.11, mask.encode

    assert decode_counts(text) == runs_of(mask)
    assert np.array_equal(decode_rle(text, (100, 12)), mask)
    assert find_runs(mask.astype(np.uint8)).mask(1) == {"size": [100, 12], "counts": text}


@settings(deadline=None)
@given(arrays.arrays(np.uint8, SHAPES, elements=st.integers(0, 3)))
def test_the_masks_of_all_classes_give_the_label_map_back(labels):
    runs = find_runs(labels)

    painted = np.full_like(labels, 255)
    for label in np.unique(labels).tolist():
        mask = runs.mask(label)
        assert mask["size"] == list(labels.shape)
        assert runs.counts(label).tolist() == runs_of(labels == label)
        painted[decode_rle(mask["counts"], labels.shape)] = label

    assert np.array_equal(painted, labels)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=12))
def test_counts_of_any_size_survive_cocos_text(counts):
    assert decode_counts(encode_counts(np.array(counts, np.int64))) == counts


def test_a_class_that_is_absent_is_one_run_outside():
    assert find_runs(np.zeros((2, 3), np.uint8)).counts(1).tolist() == [6]


@pytest.mark.parametrize("counts", [[1, 1], [4, -1], "", "2"])
def test_counts_that_do_not_fit_the_image_are_an_error(counts):
    with pytest.raises(ValueError, match="pixels long, but the image has 3"):
        decode_rle(counts, (1, 3))


def is_inside(x: float, y: float, points: list[tuple[float, float]]) -> bool:
    """The even-odd rule: a ray to the left crosses the outline an odd number of times."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if (y0 <= y) != (y1 <= y):
            crossings += x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
    return crossings % 2 == 1


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


def test_a_traced_square_passes_through_the_centres_of_its_outermost_pixels():
    labels = np.zeros((6, 7), np.uint8)
    labels[1:4, 2:6] = 3

    polygons = trace_polygons(labels, 3)

    corners = {tuple(point) for point in np.array(polygons[0]).reshape(-1, 2).tolist()}
    assert len(polygons) == 1
    assert corners == {(2, 1), (5, 1), (5, 3), (2, 3)}


@settings(deadline=None)
@given(arrays.arrays(np.uint8, (7, 8), elements=st.integers(0, 1)))
def test_the_points_of_traced_polygons_belong_to_their_class(labels):
    for polygon in trace_polygons(labels, 1):
        for x, y in np.array(polygon).reshape(-1, 2):
            assert labels[y, x] == 1
