"""Label maps painted from masks that one JSON lists for many images: polygons, or lengths of runs.

    polygon [x0 y0 x1 y1 ...]   the pixels whose centre lies inside, by the even-odd rule
    runs {size, counts}         column by column, beginning with a run outside; as numbers or as COCO's text

Later masks cover earlier ones. Axes: H W image rows and columns, p points of a polygon.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt16

from cgrseg.data.datasets.labelled import Pair
from cgrseg.errors import DatasetError
from cgrseg.types import Size

MORE, SIGN, DATA_BITS = 0x20, 0x10, 5
"""Of the six bits in a character of COCO's text: whether the number goes on, its sign, its share of the bits."""

Mask = list | dict
"""What a JSON says of one mask: a list of polygons, or a mapping with `size` and `counts`."""


@dataclass(frozen=True)
class MaskReader:
    """Paints the label map of an image; sizes and masks (each with its value) are by the image's name."""

    sizes: dict[str, Size]
    masks: dict[str, list[tuple[int, Mask]]]
    unlabelled: int

    def __call__(self, pair: Pair) -> UInt16[np.ndarray, "H W"]:
        size = self.sizes[pair.name]
        values = np.full(size, self.unlabelled, np.uint16)
        for place, (value, mask) in enumerate(self.masks.get(pair.name, ())):
            try:
                values[decode_mask(mask, size)] = value
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise DatasetError(f"{pair.labels}: mask {place + 1} of {pair.name} is malformed: {error}") from None
        return values


def decode_mask(mask: Mask, size: Size) -> Bool[np.ndarray, "H W"]:
    """The pixels of a mask.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: it is not made as the formats above say.
    """
    if isinstance(mask, dict):
        if tuple(mask["size"]) != size:
            raise ValueError(f"its size is {mask['size']} where the image's is {list(size)}")
        return _from_runs(mask["counts"], size)
    if not mask:
        raise ValueError("it has no outline; boxes are no labels")
    inside = np.zeros(size, bool)
    for polygon in mask:
        inside |= fill_polygon(np.asarray(polygon, np.float64).reshape(-1, 2), size)
    return inside


def _from_runs(counts: list[int] | str, size: Size) -> Bool[np.ndarray, "H W"]:
    runs = run_lengths(counts) if isinstance(counts, str) else counts
    pixels = size[0] * size[1]
    if sum(runs) != pixels or min(runs) < 0:
        raise ValueError(f"its runs are {sum(runs):,} pixels long where {pixels:,} are needed")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(size[::-1]).T


def run_lengths(text: str) -> list[int]:
    """The run lengths in COCO's text: from the fourth on, each is written as what it adds to the one two before."""
    runs: list[int] = []
    number = bits = 0
    for character in text:
        part = ord(character) - 48
        number |= (part & (MORE - 1)) << bits
        bits += DATA_BITS
        if part & MORE:
            continue
        if part & SIGN:
            number -= 1 << bits
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = bits = 0
    return runs


def fill_polygon(points: Float[np.ndarray, "p 2"], size: Size) -> Bool[np.ndarray, "H W"]:
    """The pixels whose centre lies inside; points are (x, y) with pixel (0, 0) from 0 to 1.

    Each edge flips the pixels to its right on every row that it crosses, so those inside end up flipped an odd number
    of times.
    """
    height, width = size
    inside = np.zeros(size, bool)
    top, bottom = (_from_centre(edge, height) for edge in (points[:, 1].min(), points[:, 1].max()))
    flips = np.zeros((bottom - top, width + 1), bool)
    for (x, y), (next_x, next_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        first, last = (_from_centre(edge, height) for edge in sorted((y, next_y)))
        if first < last:
            rows = np.arange(first, last)
            crossings = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
            flips[rows - top, np.clip(np.ceil(crossings - 0.5), 0, width).astype(int)] ^= True
    inside[top:bottom] = np.logical_xor.accumulate(flips, axis=1)[:, :width]
    return inside


def _from_centre(edge: float, limit: int) -> int:
    """The first of the rows 0 to `limit` whose centre is at `edge` or below."""
    return min(max(math.ceil(edge - 0.5), 0), limit)
