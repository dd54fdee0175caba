"""Counting agrees with one look at every pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cgrseg import metrics
from cgrseg.metrics import confusion, scores

MAPS = st.integers(1, 6).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        arrays.arrays(np.uint8, (4, 5), elements=st.sampled_from([*range(classes), 255])),
        arrays.arrays(np.uint8, (4, 5), elements=st.integers(0, classes - 1)),
    )
)


def look_at_every_pixel(truth: np.ndarray, prediction: np.ndarray, classes: int) -> list[list[int]]:
    counts = [[0] * classes for _ in range(classes)]
    for true, label in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if true != 255:
            counts[true][label] += 1
    return counts


@given(MAPS)
def test_confusion_counts_every_labelled_pixel_once(case):
    classes, truth, prediction = case

    matrix = confusion(truth, prediction, classes)

    assert matrix.dtype == np.int64
    assert matrix.tolist() == look_at_every_pixel(truth, prediction, classes)


@given(MAPS)
def test_scores_equal_their_definitions_pixel_by_pixel(case):
    classes, truth, prediction = case
    labelled = truth != 255
    truth, prediction = truth[labelled], prediction[labelled]
    iou, accuracy = [], []
    for label in range(classes):
        both, either = (truth == label) & (prediction == label), (truth == label) | (prediction == label)
        iou.append(both.sum() / either.sum() if either.any() else None)
        accuracy += [both.sum() / (truth == label).sum()] if (truth == label).any() else []

    result = scores(confusion(truth.reshape(1, -1), prediction.reshape(1, -1), classes))

    present = [value for value in iou if value is not None]
    assert result.iou == pytest.approx(tuple(iou))
    assert result.miou == pytest.approx(np.mean(present) if present else 0)
    assert result.mean_accuracy == pytest.approx(np.mean(accuracy) if accuracy else 0)
    assert result.pixel_accuracy == pytest.approx((truth == prediction).mean() if truth.size else 0)
    assert result.pixels == truth.size


def test_a_class_absent_from_truth_and_prediction_does_not_touch_the_mean():
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    prediction = np.array([[0, 1, 1, 2]], np.uint8)

    result = scores(confusion(truth, prediction, 4))

    assert result.iou == (0.5, 0.5, None, None)
    assert result.miou == 0.5


def test_a_class_predicted_but_never_true_counts_as_zero_in_miou_only():
    result = scores(confusion(np.array([[0, 0]], np.uint8), np.array([[0, 1]], np.uint8), 2))

    assert result.iou == (0.5, 0.0)
    assert result.miou == 0.25
    assert result.mean_accuracy == 0.5


def test_matrices_of_parts_add_up_to_the_matrix_of_the_whole(monkeypatch):
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 7, (2, 40, 30), dtype=np.uint8)
    whole = confusion(truth, prediction, 7)

    monkeypatch.setattr(metrics, "BLOCK", 11)
    blocks = confusion(truth, prediction, 7)
    halves = confusion(truth[:9], prediction[:9], 7) + confusion(truth[9:], prediction[9:], 7)

    assert (blocks == whole).all()
    assert (halves == whole).all()


def test_sixteen_bit_maps_ignore_65535_and_count_255():
    truth = np.array([[255, 299, 65535]], np.uint16)
    prediction = np.array([[255, 0, 7]], np.uint16)

    matrix = confusion(truth, prediction, 300)

    assert matrix[255, 255] == 1
    assert matrix[299, 0] == 1
    assert matrix.sum() == 2


@pytest.mark.parametrize(("true", "label"), [(0, 3), (3, 0), (254, 0)])
def test_a_label_that_is_no_class_is_a_bug_of_the_caller(true, label):
    with pytest.raises(AssertionError, match="among 3 classes"):
        confusion(np.array([[true]], np.uint8), np.array([[label]], np.uint8), 3)


def test_counts_beyond_32_bits_stay_exact():
    matrix = np.diag(np.array([2**62, 1], np.int64))

    assert scores(matrix).pixels == 2**62 + 1
