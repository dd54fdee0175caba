"""Where the pixels of a picture lie on the grid of logits, along one axis.

Axes: n pixels along the picture's axis, h grid points.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Float64, Int32

STRIDE = 8
"""Pixels of the network's input from one grid point to the next."""


@dataclass(frozen=True)
class Axis:
    """Each pixel's place between two grid points: `share` of the way from point `cell` to the next."""

    cell: Int32[np.ndarray, " n"]
    share: Float32[np.ndarray, " n"]
    pitch: float
    """Cells from one pixel to the next."""

    def firsts(self, points: int) -> Int32[np.ndarray, " borders"]:
        """The first pixel at or behind each of so many grid points, and behind them the number of pixels."""
        return np.searchsorted(self.cell, np.arange(points + 1)).astype(np.int32)

    def bands(self, count: int) -> list[slice]:
        """All pixels in at most so many parts of about equal size, none of which ends inside a cell."""
        starts = np.flatnonzero(np.diff(self.cell, prepend=-1))
        edges = [*np.unique(starts[np.arange(count) * len(starts) // count]).tolist(), len(self.cell)]
        return [slice(*edge) for edge in pairwise(edges)]


def place(points: int, pixels: int, extent: int | None) -> Axis:
    """The places of the pixels, as `interpolate(mode="bilinear", align_corners=False)` has them.

    `extent` is how many pixels of the network's input are the picture: the grid has a point for every `STRIDE` of them,
    the last perhaps reaching beyond. Without it the grid spans exactly the picture.
    """
    pitch = _pitch(points, pixels, extent)
    return _axis(np.clip(_positions(pixels, pitch), 0, points - 1), pitch)


def place_evenly(points: int, pixels: int, extent: int | None) -> Axis:
    """The same on the grid with its edges repeated once, where no pixel lies outside: all are one pitch apart."""
    pitch = _pitch(points, pixels, extent)
    return _axis(_positions(pixels, pitch) + 1, pitch)


def _pitch(points: int, pixels: int, extent: int | None) -> float:
    assert extent is None or -(-extent // STRIDE) == points, f"{points} grid points for {extent} pixels"
    return (points if extent is None else extent / STRIDE) / pixels


def _positions(pixels: int, pitch: float) -> Float64[np.ndarray, " n"]:
    return (np.arange(pixels) + 0.5) * pitch - 0.5


def _axis(position: Float64[np.ndarray, " n"], pitch: float) -> Axis:
    cell = position.astype(np.int32)
    return Axis(cell, (position - cell).astype(np.float32), pitch)
