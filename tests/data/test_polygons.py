"""Polygons: filled as the even-odd rule says, traced so that they fill back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cgrseg.data.polygons import fill_polygon, trace_polygons


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
