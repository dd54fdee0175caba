"""Metrics: label maps -> confusion matrix -> scores.

    truth ------+
                +-- confusion (k, k) -- summed over images -- scores -- mIoU, IoU, accuracies
    prediction -+
                +-- `boundaries`:  the same along the edges of the classes
                +-- `calibration`: confidence against accuracy
                +-- `bootstrap`:   intervals of mIoU over samples of the images

Row = true class, column = predicted class. Matrices of 64-bit counts can be added over any number of images without
rounding, in the memory of one matrix.

Axes: H W image rows and columns, k classes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped

from cgrseg.types import LabelMap, ignore_value

BLOCK = 1 << 20
"""Pixels counted at a time, so that a huge image needs no huge temporary array."""


@dataclass(frozen=True)
class Scores:
    """Segmentation scores; shares are 0..1."""

    miou: float
    """Mean IoU of the classes present in truth or prediction; 0 if there are none."""
    miou_of_true: float
    """Mean IoU of the classes present in the truth."""
    miou_of_all: float
    """Mean IoU of all classes; absent ones count as 0."""
    frequency_weighted_iou: float
    """IoU weighted with each class's share of the labelled pixels."""
    iou: tuple[float | None, ...]
    """Intersection over union of each class; none if it is absent from truth and prediction."""
    pixel_accuracy: float
    """Share of the labelled pixels that are right; where several classes are allowed, any of them is right."""
    mean_accuracy: float
    """Mean, over the classes present in the truth, of the share of the class's pixels that are right."""
    pixels: int
    """Pixels counted in all other scores: those whose truth is one class."""


def confusion(truth: LabelMap, prediction: LabelMap, classes: int) -> Int64[np.ndarray, "k k"]:
    """Count the pixels of each true class (row) that are predicted as each class (column).

    Pixels whose truth is ignored (255 in 8 bits, 65535 in 16) are not counted.
    """
    assert truth.shape == prediction.shape, f"truth is {truth.shape}, prediction {prediction.shape}"
    true_labels, labels = truth.reshape(-1), prediction.reshape(-1)
    matrix = np.zeros((classes, classes), np.int64)
    for start in range(0, truth.size, BLOCK):
        matrix += _count(true_labels[start : start + BLOCK], labels[start : start + BLOCK], classes)
    return matrix


def _count(
    truth: Shaped[np.ndarray, " pixels"], prediction: Shaped[np.ndarray, " pixels"], classes: int
) -> Int64[np.ndarray, "k k"]:
    """Confusion matrix of one block; ignored pixels go to an extra row that is dropped."""
    ignore = ignore_value(truth)
    assert prediction.max() < classes, f"a prediction of {prediction.max()} among {classes} classes"
    row = np.minimum(truth.astype(np.int64), classes)
    known = (row < classes) | (truth == ignore)
    assert known.all(), f"a true label of {truth[~known][0]} among {classes} classes"
    counts = np.bincount(row * classes + prediction, minlength=(classes + 1) * classes)
    return counts[: classes * classes].reshape(classes, classes)


def allowed_counts(
    truth: LabelMap, prediction: LabelMap, classes: int, sets: tuple[tuple[int, ...], ...]
) -> Int64[np.ndarray, "2"]:
    """Count the pixels whose truth allows several classes: those predicted as one of them, and all.

    A truth of k + i allows the classes `sets[i]`.
    """
    if not sets:
        return np.zeros(2, np.int64)
    is_allowed = np.zeros((len(sets), classes), bool)
    for index, members in enumerate(sets):
        is_allowed[index, list(members)] = True
    open_ones = (truth >= classes) & (truth < classes + len(sets))
    right = is_allowed[truth[open_ones] - classes, prediction[open_ones]]
    return np.array([right.sum(), right.size], np.int64)


def scores(matrix: Int64[np.ndarray, "k k"], allowed: Int64[np.ndarray, "2"] | None = None) -> Scores:
    """Scores of a confusion matrix; the sum of `allowed_counts`, if given, also counts for pixel accuracy."""
    hits, open_ones = (0, 0) if allowed is None else allowed.tolist()
    right, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    union = true + predicted - right
    pixels = int(true.sum())
    iou = tuple(int(hit) / int(size) if size else None for hit, size in zip(right, union, strict=True))
    accuracy = [int(hit) / int(size) for hit, size in zip(right, true, strict=True) if size]
    shares = [int(size) / pixels if pixels else 0.0 for size in true]
    return Scores(
        miou=_mean([value for value in iou if value is not None]),
        miou_of_true=_mean([value or 0.0 for value, size in zip(iou, true, strict=True) if size]),
        miou_of_all=_mean([value or 0.0 for value in iou]),
        frequency_weighted_iou=sum((value or 0.0) * share for value, share in zip(iou, shares, strict=True)),
        iou=iou,
        pixel_accuracy=(int(right.sum()) + hits) / (pixels + open_ones) if pixels + open_ones else 0.0,
        mean_accuracy=_mean(accuracy),
        pixels=pixels,
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
