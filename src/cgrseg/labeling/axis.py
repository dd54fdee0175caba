"""Where the pixels of a picture lie on the grid of logits, along one axis.

Axes: n pixels along the picture's axis, h grid points.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32

STRIDE = 8
"""Pixels of the network's input from one grid point to the next."""


@dataclass(frozen=True)
class Axis:
    """Each pixel's place between two grid points: `share` of the way from point `cell` to the next."""

    cell: Int32[np.ndarray, " n"]
    share: Float32[np.ndarray, " n"]

    def firsts(self, points: int) -> Int32[np.ndarray, " borders"]:
        """The first pixel at or behind each of so many grid points, and behind them the number of pixels."""
        return np.searchsorted(self.cell, np.arange(points + 1)).astype(np.int32)


def place(points: int, pixels: int, extent: int | None) -> Axis:
    """The places of the pixels, as `interpolate(mode="bilinear", align_corners=False)` has them.

    `extent` is how many pixels of the network's input are the picture: the grid has a point for every `STRIDE` of them,
    the last perhaps reaching beyond. Without it the grid spans exactly the picture.
    """
    assert extent is None or -(-extent // STRIDE) == points, f"{points} grid points for {extent} pixels"
    pitch = (points if extent is None else extent / STRIDE) / pixels
    position = np.clip((np.arange(pixels) + 0.5) * pitch - 0.5, 0, points - 1)
    cell = position.astype(np.int32)
    return Axis(cell, (position - cell).astype(np.float32))
