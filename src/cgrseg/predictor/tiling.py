"""Tiles of an image that is too large to be seen at once, and their logits merged on one grid.

    tiles, half overlapping -- engine --> grids -- weights falling towards the edges --> MergedLogits

The outer points of a tile, which the network saw without their surroundings, have almost no weight where another tile
holds them. The edges of the image itself keep theirs.

Axes: k classes, h w grid rows and columns, n points of a tile along one axis.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from cgrseg.labelmap.grid import STRIDE

MARGIN = 1 / 8
"""The share of a tile's side at each edge that is context only."""
LEAST = np.float32(1e-4)
"""The weight of these points: nothing but where every other tile was left out."""


@dataclass(frozen=True)
class TileAxis:
    """Where tiles lie along one axis, in pixels that the network sees."""

    starts: tuple[int, ...]
    """The first pixel of each, a multiple of the grid's stride."""
    length: int
    """Of each."""
    points: int
    """Grid points of the whole axis."""

    def touching(self, first: int, last: int) -> range:
        """The tiles that hold any of the grid points `first` to `last`."""
        held = [
            index
            for index, start in enumerate(self.starts)
            if first * STRIDE < start + self.length and start <= last * STRIDE
        ]
        return range(held[0], held[-1] + 1)

    def weight(self, index: int) -> Float32[np.ndarray, " n"]:
        """The weight of each grid point of a tile."""
        points = self.length // STRIDE
        distance = (np.arange(points, dtype=np.float32) + np.float32(0.5)) / np.float32(points)
        rise = np.clip((distance - MARGIN) / (0.5 - MARGIN), LEAST, 1).astype(np.float32)
        left = np.ones_like(rise) if index == 0 else rise
        right = np.ones_like(rise) if index == len(self.starts) - 1 else rise[::-1]
        return left * right


def tile_axis(pixels: int, tile_px: int) -> TileAxis:
    """Tiles of `tile_px`, each half over the next; the last ends with the grid, and a short axis has one as long."""
    points = -(-pixels // STRIDE)
    whole, step = points * STRIDE, tile_px // 2 // STRIDE * STRIDE
    if whole <= tile_px:
        return TileAxis((0,), whole, points)
    starts = [*range(0, whole - tile_px, step), whole - tile_px]
    return TileAxis(tuple(starts), tile_px, points)


class MergedLogits:
    """The weighted mean of the logits of tiles, for a few rows of the grid that move down."""

    def __init__(self, classes: int, rows: int, columns: tuple[int, int]) -> None:
        """Room for so many rows of the grid columns from the first to the end."""
        self.left = columns[0]
        self._sums = np.zeros((classes, rows, columns[1] - columns[0]), np.float32)
        self._weights = np.zeros((rows, columns[1] - columns[0]), np.float32)
        self._top = 0

    def move_to(self, top: int) -> None:
        """Forget the rows above `top`."""
        step, rows = top - self._top, len(self._weights)
        for plane in (*self._sums, self._weights):
            if 0 < step < rows:
                plane[:-step] = plane[step:]
            plane[max(0, rows - step) :] = 0
        self._top = top

    def add(
        self, logits: Float32[np.ndarray, "k _ _"], corner: tuple[int, int], weight: Float32[np.ndarray, "_ _"]
    ) -> None:
        """Add a tile whose first point is at `corner`; what lies outside is left out."""
        (top, bottom), (left, right) = (
            (start, start + length) for start, length in zip(corner, weight.shape, strict=True)
        )
        rows = slice(max(top, self._top), min(bottom, self._top + len(self._weights)))
        columns = slice(max(left, self.left), min(right, self.left + self._weights.shape[1]))
        here = (slice(rows.start - self._top, rows.stop - self._top), _moved(columns, self.left))
        there = (_moved(rows, top), _moved(columns, left))
        share = weight[there]
        self._sums[:, *here] += logits[:, *there] * share
        self._weights[here] += share

    def part(self, first: int, end: int) -> Float32[np.ndarray, "k _ _"]:
        """The mean of rows `first` to `end`; 0 where no tile was added."""
        rows = slice(first - self._top, end - self._top)
        return self._sums[:, rows] / np.maximum(self._weights[rows], LEAST * LEAST)


def _moved(span: slice, by: int) -> slice:
    return slice(span.start - by, span.stop - by)
