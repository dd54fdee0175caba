"""Boundary IoU agrees with the paper's own way: one mask per class, eroded step by step."""

import numpy as np
import pytest

from cgrseg.metrics.boundaries import boundary_areas, boundary_scores, strip_px


def eroded(mask: np.ndarray) -> np.ndarray:
    """One erosion with a 3 x 3 kernel; outside the image is no mask."""
    height, width = mask.shape
    padded = np.pad(mask, 1)
    shifts = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return np.logical_and.reduce(shifts)


def boundary(mask: np.ndarray) -> np.ndarray:
    inner = mask
    for _ in range(max(1, round(0.02 * np.sqrt(mask.shape[0] ** 2 + mask.shape[1] ** 2)))):
        inner = eroded(inner)
    return mask & ~inner


def patches(rng, shape, values):
    small = rng.choice(values, (shape[0] // 20 + 1, shape[1] // 20 + 1)).astype(np.uint8)
    return small.repeat(20, 0).repeat(20, 1)[: shape[0], : shape[1]]


@pytest.mark.parametrize(
    ("seed", "shape"), [(0, (120, 161)), (1, (161, 90)), (2, (20, 30)), (3, (1, 1)), (4, (5, 200))]
)
def test_strips_of_all_classes_at_once_are_those_of_one_mask_after_another(seed, shape):
    rng = np.random.default_rng(seed)
    truth = patches(rng, shape, [0, 1, 2, 4, 255])
    prediction = np.roll(patches(rng, shape, [0, 1, 2, 3]), 3, axis=1)
    prediction[: shape[0] // 2] = np.where(truth == 255, 3, truth)[: shape[0] // 2]

    areas = boundary_areas(truth, prediction, 6)

    for label in range(6):
        ours, theirs = boundary(truth == label), boundary((prediction == label) & (truth != 255))
        assert areas[:, label].tolist() == [(ours & theirs).sum(), (ours | theirs).sum()]


def test_the_strip_is_two_percent_of_the_diagonal_and_at_least_a_pixel():
    assert strip_px((300, 400)) == 10
    assert strip_px((1024, 2048)) == 46
    assert strip_px((4, 4)) == 1


def test_a_shift_costs_more_at_the_edge_than_in_the_whole():
    truth = np.zeros((100, 100), np.uint8)
    truth[20:80, 20:80] = 1

    areas = boundary_areas(truth, np.roll(truth, 2, axis=1), 3)
    result = boundary_scores(areas)

    assert result.iou[1] < 58 / 62
    assert result.iou[2] is None
    assert result.miou == pytest.approx((result.iou[0] + result.iou[1]) / 2)


def test_predictions_at_ignored_pixels_change_nothing():
    truth = np.zeros((60, 60), np.uint8)
    truth[:, 30:] = 1
    truth[20:40, 20:40] = 255
    strange = np.where(truth == 255, 2, truth).astype(np.uint8)
    usual = np.where(truth == 255, 0, truth).astype(np.uint8)

    first, second = boundary_areas(truth, strange, 3), boundary_areas(truth, usual, 3)

    assert (first == second).all()
    assert boundary_scores(first).iou == (1.0, 1.0, None)


def test_sixteen_bit_maps_have_strips_of_class_255():
    truth = np.full((50, 50), 255, np.uint16)
    truth[:, 40:] = 65535
    truth[:, :10] = 299

    areas = boundary_areas(truth, np.where(truth == 65535, 0, truth), 300)

    assert boundary_scores(areas).iou[255] == boundary_scores(areas).iou[299] == 1.0
    assert areas[1, 255] > 0


def test_without_any_strip_the_mean_is_zero():
    truth = np.full((4, 4), 255, np.uint8)

    result = boundary_scores(boundary_areas(truth, np.zeros_like(truth), 2))

    assert (result.miou, result.iou) == (0.0, (None, None))
