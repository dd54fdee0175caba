import numpy as np
import pytest

from cgrseg.metrics.calibration import BINS, reliability

TRUTH = np.array([[0, 1, 1, 1, 255]], np.uint8)
LABELS = np.array([[0, 1, 0, 0, 0]], np.uint8)
CONFIDENCE = np.array([[0.9, 0.9, 0.9, 0.5, 0.1]], np.float32)


def test_the_error_is_the_gap_of_each_bin_weighted_with_its_pixels():
    found = reliability(TRUTH, LABELS, CONFIDENCE)

    assert found.pixels.sum() == 4
    assert found.expected_error == pytest.approx(3 / 4 * abs(2 / 3 - 0.9) + 1 / 4 * 0.5)


def test_the_table_tells_accuracy_and_confidence_of_each_bin():
    tree = reliability(TRUTH, LABELS, CONFIDENCE).as_tree()

    known = [row for row in tree["bins"] if row["pixels"]]
    assert len(tree["bins"]) == BINS == 15
    assert [row["pixels"] for row in known] == [1, 3]
    assert [row["accuracy"] for row in known] == [0, pytest.approx(2 / 3)]
    assert [row["confidence"] for row in known] == pytest.approx([0.5, 0.9])
    assert all(row["above"] < row["confidence"] <= row["up_to"] for row in known)
    assert tree["bins"][0]["accuracy"] is None


def test_confidences_zero_and_one_and_rounding_above_fall_into_the_outer_bins():
    confidence = np.array([[0, 1, np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    labels = np.zeros((1, 3), np.uint8)

    found = reliability(labels, labels, confidence)

    assert found.pixels.tolist() == [1, *[0] * 13, 2]


def test_images_add_up():
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 3, (2, 8, 6), dtype=np.uint8)
    confidence = rng.random((8, 6), np.float32)
    whole = reliability(truth, labels, confidence)

    parts = reliability(truth[:3], labels[:3], confidence[:3]) + reliability(truth[3:], labels[3:], confidence[3:])

    assert (parts.pixels == whole.pixels).all()
    assert (parts.right == whole.right).all()
    assert parts.expected_error == pytest.approx(whole.expected_error)


def test_no_labelled_pixel_is_no_error():
    found = reliability(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), np.ones((2, 2), np.float32))

    assert found.expected_error == 0
