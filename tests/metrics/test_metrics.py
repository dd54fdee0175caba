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


def mmsegmentation(truths: list[np.ndarray], predictions: list[np.ndarray], classes: int) -> float:
    """Its rule: areas added over the images, absent classes nan, the mean of the rest (in 64 bits, not rounded)."""
    intersection, union = np.zeros(classes), np.zeros(classes)
    for truth, prediction in zip(truths, predictions, strict=True):
        label, guess = truth[truth != 255], prediction[truth != 255]
        edges = np.arange(classes + 1)
        both, true, predicted = (np.histogram(values, edges)[0] for values in (label[label == guess], label, guess))
        intersection += both
        union += true + predicted - both
    return float(np.nanmean(np.divide(intersection, union, out=np.full(classes, np.nan), where=union > 0)))


@pytest.mark.parametrize("seed", range(20))
def test_miou_is_that_of_mmsegmentation(seed):
    rng = np.random.default_rng(seed)
    used = rng.choice(30, 9, replace=False).astype(np.uint8)
    truths = [rng.choice([*used, 255], (17, 23)).astype(np.uint8) for _ in range(3)]
    predictions = [np.where(rng.random((17, 23)) < 0.6, truth % 30, rng.choice(used, (17, 23))) for truth in truths]
    matrix = sum(confusion(truth, guess, 30) for truth, guess in zip(truths, predictions, strict=True))

    result = scores(matrix)

    assert None in result.iou
    assert result.miou == pytest.approx(mmsegmentation(truths, predictions, 30), rel=1e-14)


def test_rules_for_absent_classes_differ_as_their_names_say():
    truth = np.array([[0, 0, 0, 1]], np.uint8)
    prediction = np.array([[0, 0, 2, 1]], np.uint8)

    result = scores(confusion(truth, prediction, 4))

    assert result.iou == (2 / 3, 1.0, 0.0, None)
    assert result.miou == pytest.approx((2 / 3 + 1) / 3)
    assert result.miou_of_true == pytest.approx((2 / 3 + 1) / 2)
    assert result.miou_of_all == pytest.approx((2 / 3 + 1) / 4)


def test_frequency_weighted_iou_weights_each_class_with_its_share_of_the_truth():
    truth = np.array([[0, 0, 0, 1, 255]], np.uint8)
    prediction = np.array([[0, 0, 2, 1, 1]], np.uint8)

    result = scores(confusion(truth, prediction, 3))

    assert result.frequency_weighted_iou == pytest.approx(3 / 4 * 2 / 3 + 1 / 4 * 1)


def test_without_labelled_pixels_every_mean_is_zero():
    result = scores(np.zeros((2, 2), np.int64))

    assert (result.miou, result.miou_of_true, result.miou_of_all, result.frequency_weighted_iou) == (0, 0, 0, 0)


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


SETS = ((0, 1), (1, 2))


def test_a_pixel_that_may_be_several_classes_is_right_where_one_of_them_is_predicted():
    truth = np.array([[3, 3, 4, 4, 0, 255]], np.uint8)
    prediction = np.array([[0, 2, 1, 2, 0, 1]], np.uint8)

    allowed = metrics.allowed_counts(truth, prediction, 3, SETS)
    result = scores(confusion(np.where(truth < 3, truth, 255), prediction, 3), allowed)

    assert allowed.tolist() == [3, 4]
    assert result.pixel_accuracy == pytest.approx(4 / 5)
    assert (result.miou, result.pixels) == (1.0, 1)


def test_without_sets_there_is_nothing_to_allow():
    assert metrics.allowed_counts(np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8), 3, ()).tolist() == [0, 0]
