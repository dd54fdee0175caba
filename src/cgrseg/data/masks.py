"""Masks in two compact forms: run lengths, as COCO writes them, and polygons.

    label map -- column by column --> runs of equal labels --> counts of a class: gap, run, gap, run ...
    mask <-- counts (numbers) <--> text of COCO
    mask <-- fill -- polygon [x0 y0 x1 y1 ...] <-- trace -- label map

Counts go down the columns and begin with the pixels outside the mask. In the text of COCO each count from the fourth on
is the difference to the one two before it, in characters of 5 bits, lowest bits first.

Axes: H W rows and columns of the image, n runs or counts, p points of a polygon.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from cgrseg.types import LabelMap, Size

CONTINUES, SIGN, DATA_BITS, ZERO = 0x20, 0x10, 5, 48
"""Of a character in COCO's text: the bit that announces another one, the sign bit, its bits of data, and code 0."""


@dataclass(frozen=True, eq=False)
class Runs:
    """A label map as runs of equal labels, column by column."""

    size: Size
    values: Shaped[np.ndarray, "n"]
    starts: Int64[np.ndarray, "n"]
    ends: Int64[np.ndarray, "n"]

    def counts(self, label: int) -> Int64[np.ndarray, "n"]:
        """The run lengths of the mask of one class."""
        is_class = self.values == label
        edges = np.column_stack([self.starts[is_class], self.ends[is_class]]).ravel()
        counts = np.diff(edges, prepend=0, append=self.size[0] * self.size[1])
        return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts

    def mask(self, label: int) -> dict:
        """The mask of one class as COCO's compressed run lengths: `size` and `counts`."""
        return {"size": list(self.size), "counts": encode_counts(self.counts(label))}


def find_runs(labels: LabelMap) -> Runs:
    """Find the runs of equal labels going down the columns."""
    flat = labels.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    return Runs((labels.shape[0], labels.shape[1]), flat[starts], starts, np.append(starts[1:], flat.size))


def decode_rle(counts: Sequence[int] | str, size: Size) -> Bool[np.ndarray, "H W"]:
    """Decode run lengths, given as numbers or as COCO's text, to a mask.

    Raises:
        ValueError: a count is negative, or they do not add up to the pixels of the image.
    """
    runs = decode_counts(counts) if isinstance(counts, str) else counts
    pixels = size[0] * size[1]
    if sum(runs) != pixels or min(runs) < 0:
        raise ValueError(f"its runs are {sum(runs):,} pixels long, but the image has {pixels:,}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[::-1]).T


def encode_counts(counts: Int64[np.ndarray, "n"]) -> str:
    """Encode counts as COCO's text."""
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    return "".join(map(_encode_number, numbers.tolist()))


def decode_counts(text: str) -> list[int]:
    """Decode COCO's text to counts."""
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - ZERO
        number |= (bits & (CONTINUES - 1)) << shift
        shift += DATA_BITS
        if bits & CONTINUES:
            continue
        if bits & SIGN:
            number -= 1 << shift
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = shift = 0
    return counts


def _encode_number(number: int) -> str:
    """Encode one number, which ends at the character after which only its sign is left."""
    text = ""
    while True:
        bits, number = number & (CONTINUES - 1), number >> DATA_BITS
        is_last = number == (-1 if bits & SIGN else 0)
        text += chr(ZERO + (bits if is_last else bits | CONTINUES))
        if is_last:
            return text


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
