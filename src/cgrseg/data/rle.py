"""Run-length encoding of masks, as COCO writes it.

    label map -- column by column --> runs of equal labels --> counts of a class: gap, run, gap, run ...
    mask <-- counts (numbers) <--> COCO's text

Counts go down the columns and begin with the pixels outside the mask. In COCO's text each count from the fourth on is
the difference to the one two before it, in characters of 5 bits, lowest bits first.

Axes: H W rows and columns of the image, n runs or counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64, Shaped

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


def decode_mask(counts: Sequence[int] | str, size: Size) -> Bool[np.ndarray, "H W"]:
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
