"""Boundary IoU (Cheng et al. 2021, arXiv 2103.16562): the IoU of strips along the edges of the classes.

    truth ------ strip along every edge -+
                                         +-- same class in both strips / in either, class by class
    prediction - strip along every edge -+

The paper erodes the mask of each class d times with a 3 x 3 kernel and keeps the pixels this removes; pixels outside
the image belong to none of the classes. A pixel is removed exactly if the square of 2 d + 1 pixels around it contains
another class or reaches outside the image, so one erosion and one dilation of the label map find all strips at once.

Axes: H W image rows and columns, k classes.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Int64

from cgrseg.types import LabelMap, Size, ignore_value

RATIO = 0.02
"""Width of the strip as a share of the image diagonal, as in the paper."""


@dataclass(frozen=True)
class BoundaryScores:
    """Scores along the edges; shares are 0..1."""

    miou: float
    """Mean over the classes with a strip in truth or prediction; 0 if there are none."""
    iou: tuple[float | None, ...]
    """IoU of each class; none if it has no strip."""


def boundary_areas(truth: LabelMap, prediction: LabelMap, classes: int) -> Int64[np.ndarray, "2 k"]:
    """Pixels of each class in the strips of both truth and prediction, and in the strip of either.

    Ignored pixels are removed from truth and prediction alike: they are not counted, and classes next to them have an
    edge there.
    """
    ignore = ignore_value(truth)
    prediction = np.where(truth == ignore, truth, prediction.astype(truth.dtype))
    in_truth, in_prediction = (_strip(labels) & (truth != ignore) for labels in (truth, prediction))
    hits = np.bincount(truth[in_truth & in_prediction & (truth == prediction)], minlength=classes)
    true, predicted = (
        np.bincount(labels[strip], minlength=classes)
        for labels, strip in ((truth, in_truth), (prediction, in_prediction))
    )
    either = true + predicted - hits
    return np.stack([hits, either]).astype(np.int64)


def boundary_scores(areas: Int64[np.ndarray, "2 k"]) -> BoundaryScores:
    """Scores from the areas of one image, or from their sum over many."""
    iou = tuple(int(hits) / int(either) if either else None for hits, either in areas.T)
    present = [value for value in iou if value is not None]
    return BoundaryScores(miou=sum(present) / len(present) if present else 0.0, iou=iou)


def strip_px(size: Size) -> int:
    """Width of the strip in pixels for an image of this size."""
    return max(1, round(RATIO * math.hypot(*size)))


def _strip(labels: LabelMap) -> Bool[np.ndarray, "H W"]:
    """Pixels that have another label, or the outside of the image, within the width of the strip."""
    height, width = labels.shape
    outside = np.iinfo(labels.dtype).max
    padded = cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=int(outside))
    side = 2 * strip_px((height, width)) + 1
    square = np.ones((side, side), np.uint8)
    edge = (cv2.erode(padded, square) != padded) | (cv2.dilate(padded, square) != padded)
    return edge[1:-1, 1:-1]
