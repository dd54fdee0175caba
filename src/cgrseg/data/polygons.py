"""Polygons of masks: filling those of annotations, tracing those of label maps.

Axes: H W image rows and columns, p points of a polygon.
"""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float

from cgrseg.types import LabelMap, Size


def fill_polygon(points: Float[np.ndarray, "p 2"], size: Size) -> Bool[np.ndarray, "H W"]:
    """Fill the pixels whose centre lies inside, by the even-odd rule.

    Each edge flips the pixels to its right on every row that it crosses, so those inside are flipped an odd number of
    times.

    Args:
        points: (x, y), where pixel (0, 0) extends from 0 to 1.
        size: height and width of the image.
    """
    height, width = size
    inside = np.zeros(size, bool)
    top, bottom = (_first_row(edge, height) for edge in (points[:, 1].min(), points[:, 1].max()))
    flips = np.zeros((bottom - top, width + 1), bool)
    for (x, y), (next_x, next_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        first, last = (_first_row(edge, height) for edge in sorted((y, next_y)))
        if first < last:
            rows = np.arange(first, last)
            crossings = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
            flips[rows - top, np.clip(np.ceil(crossings - 0.5), 0, width).astype(int)] ^= True
    inside[top:bottom] = np.logical_xor.accumulate(flips, axis=1)[:, :width]
    return inside


def _first_row(edge: float, limit: int) -> int:
    """The first of the rows 0 to `limit` whose centre is at `edge` or below."""
    return min(max(math.ceil(edge - 0.5), 0), limit)


def trace_polygons(labels: LabelMap, label: int) -> list[list[int]]:
    """Trace the outlines of one class, holes included, as [x0, y0, x1, y1, ...].

    They pass through the centres of the outermost pixels, where pixel (0, 0) has its centre at (0, 0).
    """
    mask = (labels == label).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [contour.ravel().tolist() for contour in contours]
