"""What pixels take from overlapping windows adds up to one image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgrseg.labelmap import Windows, cover


@given(seen=st.integers(1, 90), pad=st.integers(0, 31), window=st.integers(1, 99), stride=st.integers(1, 99))
def test_windows_cover_every_pixel_end_at_the_border_and_advance_by_the_stride(seen, pad, window, stride):
    windows = cover(seen + pad, seen, window, min(stride, window))

    covered = {pixel for start in windows.starts for pixel in range(start, start + windows.length)}
    assert covered == set(range(seen + pad))
    assert windows.length == min(window, seen + pad)
    assert windows.starts[:-1] == tuple(min(stride, window) * place for place in range(len(windows.starts) - 1))


@pytest.mark.parametrize("way", [Windows.blend, Windows.blend_twice])
@given(seen=st.integers(1, 90), window=st.integers(1, 99), pixels=st.integers(1, 120))
def test_shares_are_of_points_that_exist_and_add_up_to_one(way, seen, window, pixels):
    windows = cover(seen, seen, window, max(1, window * 2 // 3))
    points = -(-windows.length // 8)

    blend = way(windows, pixels, points)

    assert len(blend) == pixels
    assert blend.share.min() >= 0
    np.testing.assert_allclose(blend.share.sum(axis=1), 1)
    assert 0 <= blend.point.min() <= blend.point.max() < points * len(windows.starts)


def test_a_blend_of_some_pixels_needs_few_points():
    blend = cover(800, 800, 200, 130).blend(1600, 25)

    points, matrix = blend.matrix(slice(0, 100))

    assert len(points) <= 8
    assert matrix.shape == (100, len(points))


def test_a_mirrored_blend_gives_the_first_pixel_what_the_last_had():
    blend = cover(90, 90, 40, 30).blend(50, 5)

    mirrored = blend.mirrored()

    assert (mirrored.point[0] == blend.point[-1]).all()
    assert (mirrored.share[7] == blend.share[-8]).all()
