import numpy as np
import pytest

from cgrseg.predictor.tiling import MergedLogits, tile_axis


@pytest.mark.parametrize("pixels", [1, 8, 127, 128, 129, 500, 1_000])
def test_tiles_cover_the_axis_and_overlap_by_half_at_least(pixels):
    axis = tile_axis(pixels, 128)

    ends = [start + axis.length for start in axis.starts]
    assert axis.starts[0] == 0
    assert ends[-1] == 8 * axis.points == -(-pixels // 8) * 8
    assert all(start % 8 == 0 for start in axis.starts)
    assert all(later - earlier <= 64 for earlier, later in zip(axis.starts, axis.starts[1:], strict=False))


def test_weights_fall_towards_the_edges_but_those_of_the_image():
    axis = tile_axis(384, 128)
    first, middle, last = (axis.weight(index) for index in (0, 2, len(axis.starts) - 1))

    assert first[0] == last[-1] == 1
    assert max(first[-2:].max(), last[:2].max(), middle[:2].max(), middle[-2:].max()) < 0.001
    assert np.array_equal(middle, middle[::-1])
    assert np.all(np.diff(middle[:8]) >= 0)


def test_the_tiles_that_hold_some_points_are_found():
    axis = tile_axis(384, 128)  # 0, 64, 128, 192, 256

    assert list(axis.touching(0, 7)) == [0]
    assert list(axis.touching(8, 15)) == [0, 1]
    assert list(axis.touching(16, 16)) == [1, 2]
    assert list(axis.touching(47, 47)) == [4]


def test_merged_logits_are_the_weighted_mean_of_tiles():
    merged = MergedLogits(2, rows=4, columns=(3, 7))
    merged.move_to(2)
    merged.add(np.full((2, 3, 3), 1, np.float32), (1, 2), np.full((3, 3), 1, np.float32))
    merged.add(np.full((2, 3, 3), 5, np.float32), (3, 4), np.full((3, 3), 3, np.float32))

    mean = merged.part(2, 6)[0]

    assert mean.tolist() == [[1, 1, 0, 0], [1, 4, 5, 5], [0, 5, 5, 5], [0, 5, 5, 5]]
    merged.move_to(4)
    assert merged.part(4, 8)[0].tolist() == [[0, 5, 5, 5], [0, 5, 5, 5], [0, 0, 0, 0], [0, 0, 0, 0]]
