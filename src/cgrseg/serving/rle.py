"""Masks of a label map in COCO's two ways: lengths of runs, and polygons.

labels -- column by column, cut where they change --> runs --> of each class: gap, run, gap, run ... as COCO's text
labels == class -- contours --> polygons [x0 y0 x1 y1 ...]

Axes: H W rows and columns of the image, n runs.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int64, Shaped

from cgrseg.types import LabelMap, Size

MORE, DATA_BITS, FIRST_CHARACTER = 0x20, 5, 48
"""Of a character of COCO's text: the bit that says that the number goes on, its share of the bits, and zero."""


@dataclass(frozen=True, eq=False)
class Runs:
    """A label map, column by column, as stretches of one label."""

    size: Size
    values: Shaped[np.ndarray, "n"]
    starts: Int64[np.ndarray, "n"]
    ends: Int64[np.ndarray, "n"]

    def mask(self, label: int) -> dict:
        """One class as COCO's compressed run lengths: `size` and `counts`."""
        own = self.values == label
        edges = np.column_stack([self.starts[own], self.ends[own]]).ravel()
        counts = np.diff(edges, prepend=0, append=self.size[0] * self.size[1])
        return {"size": list(self.size), "counts": compress(counts[:-1] if counts[-1] == 0 else counts)}


def find_runs(labels: LabelMap) -> Runs:
    """The stretches of equal labels, going down the columns."""
    flat = labels.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    return Runs((labels.shape[0], labels.shape[1]), flat[starts], starts, np.append(starts[1:], flat.size))


def compress(counts: Int64[np.ndarray, "n"]) -> str:
    """Counts as COCO's text: from the fourth on, how each differs from the one but one before; 5 bits a character."""
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    return "".join(map(_characters, numbers.tolist()))


def _characters(number: int) -> str:
    """A number, lowest bits first; it ends where the rest is its sign."""
    text = ""
    while True:
        bits, number = number & (MORE - 1), number >> DATA_BITS
        is_last = number == (-1 if bits & (MORE >> 1) else 0)
        text += chr(FIRST_CHARACTER + (bits if is_last else bits | MORE))
        if is_last:
            return text


def polygons(labels: LabelMap, label: int) -> list[list[int]]:
    """The borders of one class, through the centres of its outermost pixels; holes are borders, too."""
    mask = (labels == label).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [contour.ravel().tolist() for contour in contours]
