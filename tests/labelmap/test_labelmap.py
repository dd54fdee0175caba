"""The label map is the argmax of the upsampled logits, whatever the sizes and the numbers."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from cgrseg import labelmap
from cgrseg.labelmap import compiling, confidence_map, label_map
from cgrseg.labelmap.grid import locate


def upsampled(logits: np.ndarray, size: tuple[int, int], extent: tuple[int, int] | None = None) -> np.ndarray:
    """All logits at every pixel in float64: matrix products with the weights of each axis, no cleverness."""
    down, along = (weights(*axis) for axis in zip(logits.shape[1:], size, extent or (None, None), strict=True))
    return np.einsum("yh,khw,xw->kyx", down, logits.astype(np.float64), along)


def weights(points: int, pixels: int, extent: int | None) -> np.ndarray:
    span = points if extent is None else extent / 8
    matrix = np.zeros((pixels, points))
    for pixel in range(pixels):
        position = min(max((pixel + 0.5) * span / pixels - 0.5, 0), points - 1)
        cell = min(int(position), points - 1)
        matrix[pixel, cell] += 1 - (position - cell)
        matrix[pixel, min(cell + 1, points - 1)] += position - cell
    return matrix


def assert_wins(
    labels: np.ndarray, logits: np.ndarray, size: tuple[int, int], extent: tuple[int, int] | None = None
) -> None:
    """Each label is the argmax in float64, or within what rounding to float32 can do to the two numbers compared."""
    full, magnitude = upsampled(logits, size, extent), upsampled(np.abs(logits), size, extent)
    best, chosen = full.argmax(axis=0)[None], labels[None].astype(np.int64)
    behind, scale = (
        [np.take_along_axis(each, which, axis=0)[0] for which in (best, chosen)] for each in (full, magnitude)
    )
    assert (behind[0] - behind[1] <= 1e-6 * (scale[0] + scale[1])).all()


def make_logits(kind: str, shape: tuple[int, int, int], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(shape).astype(np.float32)
    across, along = np.arange(shape[1])[:, None], np.arange(shape[2])
    slope = rng.permutation(shape[0])[:, None, None].astype(np.float32)
    made = {
        "random": noise,
        "smooth": np.sin(noise[:, :1, :1] * across + noise[:, -1:, -1:] * along) * 9,
        "constant": np.full(shape, noise.flat[0]),
        "tied": rng.integers(-1, 2, shape),
        "steep": noise * 10.0 ** rng.integers(-6, 9, shape[:1])[:, None, None],
        "near": 1 + noise * 1e-5,
        # lines of many slopes, each of which wins a short piece between two points
        "envelope": 2 * slope * (across % 2 + along % 2) - slope**2 / max(shape[0] - 1, 1),
        "cliffs": noise * 40,
        "masked": np.where(slope == 0, np.float32(-1e9), noise),
    }
    return made[kind].astype(np.float32)


def top_probability(logits: np.ndarray, size: tuple[int, int], extent: tuple[int, int] | None = None) -> np.ndarray:
    """The largest softmax probability at every pixel in float64."""
    return torch.from_numpy(upsampled(logits, size, extent)).softmax(dim=0).amax(dim=0).numpy()


KINDS = st.sampled_from(["random", "smooth", "constant", "tied", "steep", "near", "envelope"])
GENTLE_KINDS = st.sampled_from(["random", "smooth", "constant", "tied", "near", "envelope", "cliffs", "masked"])
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 6))
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(deadline=None, max_examples=200)
@given(kind=KINDS, shape=SHAPES, size=SIZES, seed=st.integers(0, 99))
def test_labels_are_the_argmax_of_the_upsampled_logits(kind, shape, size, seed):
    logits = make_logits(kind, shape, seed)

    labels = label_map(logits, size)

    assert labels.shape == size
    assert labels.dtype == np.uint8
    assert_wins(labels, logits, size)


@settings(deadline=None, max_examples=100)
@given(kind=KINDS, classes=st.integers(1, 12), extent=st.tuples(st.integers(1, 50), st.integers(1, 50)), size=SIZES)
def test_with_an_extent_a_grid_point_stands_for_eight_pixels(kind, classes, extent, size):
    shape = (classes, -(-extent[0] // 8), -(-extent[1] // 8))
    logits = make_logits(kind, shape, seed=1)

    labels = label_map(logits, size, extent=extent)

    assert_wins(labels, logits, size, extent)


@settings(deadline=None, max_examples=200)
@given(kind=GENTLE_KINDS, shape=SHAPES, size=SIZES, seed=st.integers(0, 99))
def test_confidence_is_the_softmax_of_the_winner_over_all_classes(kind, shape, size, seed):
    logits = make_logits(kind, shape, seed)

    confidence = confidence_map(logits, size)

    assert confidence.dtype == np.float32
    assert np.abs(confidence - top_probability(logits, size)).max() <= 1e-5


@settings(deadline=None, max_examples=100)
@given(
    kind=GENTLE_KINDS, classes=st.integers(1, 12), extent=st.tuples(st.integers(1, 50), st.integers(1, 50)), size=SIZES
)
def test_with_an_extent_confidence_lies_where_the_labels_lie(kind, classes, extent, size):
    shape = (classes, -(-extent[0] // 8), -(-extent[1] // 8))
    logits = make_logits(kind, shape, seed=1)

    confidence = confidence_map(logits, size, extent=extent)

    assert np.abs(confidence - top_probability(logits, size, extent)).max() <= 1e-5


@pytest.mark.parametrize("scale", [0.01, 1, 10, 40])
def test_confidence_stays_exact_where_a_cell_has_many_pixels(scale):
    logits = scale * np.random.default_rng(0).standard_normal((20, 3, 4)).astype(np.float32)

    confidence = confidence_map(logits, (100, 230))

    assert np.abs(confidence - top_probability(logits, (100, 230))).max() <= 1e-5


def test_confidence_stays_exact_far_from_zero():
    logits = np.random.default_rng(0).standard_normal((150, 5, 6)).astype(np.float32) + 1000

    confidence = confidence_map(logits, (40, 41))

    assert np.abs(confidence - top_probability(logits, (40, 41))).max() <= 1e-5


def test_confidence_stays_exact_where_some_rows_are_steep_and_others_are_not():
    logits = np.random.default_rng(0).standard_normal((20, 6, 4)).astype(np.float32)
    logits[:, 2:4] *= 100

    confidence = confidence_map(logits, (90, 60), threads=2)

    assert np.abs(confidence - top_probability(logits, (90, 60))).max() <= 1e-5


@pytest.mark.parametrize("size", [(512, 683), (64, 85), (37, 50)])
def test_positions_are_those_of_interpolate(size):
    logits = np.random.default_rng(0).standard_normal((20, 64, 85)).astype(np.float32)

    labels = label_map(logits, size)

    full = F.interpolate(torch.from_numpy(logits)[None].double(), size, mode="bilinear")[0]
    assert (labels == full.argmax(dim=0).numpy()).mean() > 0.9999


def test_with_the_images_own_extent_the_map_is_the_corner_of_the_whole_grids():
    logits = np.random.default_rng(0).standard_normal((4, 5, 7)).astype(np.float32)

    labels = label_map(logits, (35, 50), extent=(35, 50))

    assert (labels == label_map(logits, (40, 56))[:35, :50]).all()


def test_of_equal_classes_the_lowest_wins_everywhere():
    one = np.random.default_rng(0).integers(-3, 4, (1, 4, 5)).astype(np.float32)
    logits = np.concatenate([one - 1, one, one, one])

    assert (label_map(logits, (32, 40)) == 1).all()


def test_a_tie_between_grid_points_goes_to_the_lowest_class():
    logits = np.array([[[1, 1]], [[2, 0]], [[0, 2]]], np.float32)  # three lines through one point

    labels = label_map(logits, (1, 5))  # the middle pixel is that point

    assert labels.tolist() == [[1, 1, 0, 2, 2]]


def test_a_class_that_wins_only_between_grid_points_is_found():
    logits = np.array([[[4, 0]], [[0, 4]], [[3, 3]]], np.float32)

    labels = label_map(logits, (1, 16))

    assert labels.tolist() == [[0] * 6 + [2] * 4 + [1] * 6]


@pytest.mark.parametrize(("classes", "dtype"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (512, np.uint16)])
def test_labels_have_16_bits_only_above_255_classes(classes, dtype):
    logits = np.zeros((classes, 2, 2), np.float32)
    logits[-1] = 1

    labels = label_map(logits, (5, 5))

    assert labels.dtype == dtype
    assert (labels == classes - 1).all()


@pytest.mark.parametrize(
    "convert", [lambda x: x.astype(np.float16), lambda x: x.astype(np.float64), lambda x: x.swapaxes(1, 2)]
)
def test_any_float_type_and_memory_layout_is_taken(convert):
    logits = convert(np.random.default_rng(0).standard_normal((5, 6, 6)).astype(np.float32))

    labels = label_map(logits, (30, 30))

    assert_wins(labels, logits.astype(np.float32), (30, 30))


def test_a_read_only_array_is_taken_and_left_alone():
    logits = np.random.default_rng(0).standard_normal((5, 4, 6)).astype(np.float32)
    kept = logits.copy()
    logits.flags.writeable = False

    label_map(logits, (9, 9))
    confidence_map(logits, (9, 9))

    assert (logits == kept).all()


@pytest.mark.parametrize("threads", [2, 3, 50])
def test_threads_share_the_rows_and_change_nothing(threads):
    logits = np.random.default_rng(0).standard_normal((7, 5, 6)).astype(np.float32)

    for make in (label_map, confidence_map):
        alone, together = make(logits, (33, 47)), make(logits, (33, 47), threads=threads)
        assert (alone == together).all()


def test_the_first_call_on_a_machine_says_that_it_compiles(monkeypatch, caplog):
    monkeypatch.setattr("cgrseg.labelmap.compiling.is_kept", lambda function: False)
    for once in (labelmap._label_kernel, labelmap._confidence_kernel, compiling.announce):
        once.cache_clear()
    caplog.set_level(logging.INFO)

    for _ in range(2):
        label_map(np.zeros((2, 2, 2), np.float32), (4, 4))
        confidence_map(np.zeros((2, 2, 2), np.float32), (4, 4))

    messages = [record.message.split(";")[0] for record in caplog.records]
    assert messages == ["compiling the label map kernel", "compiling the confidence kernel"]


def test_an_extent_that_does_not_fit_the_grid_is_a_bug_of_the_caller():
    with pytest.raises(AssertionError, match="5 grid points for 41 pixels"):
        locate(5, 41, 41)
