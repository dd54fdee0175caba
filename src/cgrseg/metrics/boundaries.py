"""Boundary IoU (Cheng et al. 2021, arXiv 2103.16562): the IoU of what lies along the edges of the classes.

    truth ------ strip along every edge -+
                                         +-- same class in both strips / in either, class by class
    prediction - strip along every edge -+

The paper erodes one mask per class d times with a 3 x 3 kernel and keeps what goes; outside the image is no class. A
pixel goes exactly where a square of 2 d + 1 pixels around it holds another class or the outside, so one erosion and one
dilation of the label map find the strips of all classes at once.

Axes: H W image rows and columns, k classes.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Int64

from cgrseg.types import LabelMap, Size, ignore_value

RATIO = 0.02
"""Width of the strip over the diagonal of the image; the paper's own."""


@dataclass(frozen=True)
class BoundaryScores:
    """How well predictions meet the truth along the edges; every share is 0..1."""

    miou: float
    """Mean over the classes with a strip in truth or prediction; 0 when there is none."""
    iou: tuple[float | None, ...]
    """Of each class; none where it has no strip."""


def boundary_areas(truth: LabelMap, prediction: LabelMap, classes: int) -> Int64[np.ndarray, "2 k"]:
    """Pixels of each class in both strips, and in either.

    Ignored pixels are taken out of truth and prediction alike: they are not counted, and border on what is beside them.
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
    """The scores that the areas of any number of images, added up, hold."""
    iou = tuple(int(hits) / int(either) if either else None for hits, either in areas.T)
    present = [value for value in iou if value is not None]
    return BoundaryScores(miou=sum(present) / len(present) if present else 0.0, iou=iou)


def strip_px(size: Size) -> int:
    """How wide the strip is in an image of this size."""
    return max(1, round(RATIO * math.hypot(*size)))


def _strip(labels: LabelMap) -> Bool[np.ndarray, "H W"]:
    """Where another label, or the outside of the image, is at most the strip's width away."""
    height, width = labels.shape
    outside = np.iinfo(labels.dtype).max
    padded = cv2.copyMakeBorder(labels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=int(outside))
    side = 2 * strip_px((height, width)) + 1
    square = np.ones((side, side), np.uint8)
    edge = (cv2.erode(padded, square) != padded) | (cv2.dilate(padded, square) != padded)
    return edge[1:-1, 1:-1]
