"""How the pixels of an image lie on the grid of logits along one axis, and which grid points they are blended from.

    points of a grid -- bilinear --> pixels of its window --+
    points of a grid -- bilinear --> pixels of its window --+-- mean where windows overlap --> pixels of the image
                                     (of the image as the network saw it)         (direct, or bilinear once more)

Every step is a weighted sum, so all of them together are one: each pixel is a weighted sum of a few points.

Axes: n pixels along the image's axis, m pixels of interest, t points per pixel, p points.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64

STRIDE = 8
"""Pixels of the network's input from one grid point to the next."""


@dataclass(frozen=True)
class Axis:
    """The position of each pixel between two grid points: `share` of the way from point `cell` to the next."""

    cell: Int32[np.ndarray, " n"]
    share: Float32[np.ndarray, " n"]
    pitch: float
    """Cells from one pixel to the next."""

    def firsts(self, points: int) -> Int32[np.ndarray, " borders"]:
        """The first pixel at or behind each of so many grid points, and behind them the number of pixels."""
        return np.searchsorted(self.cell, np.arange(points + 1)).astype(np.int32)

    def part(self, pixels: slice, first: int = 0) -> "Axis":
        """The positions of some of the pixels, on a grid that begins at point `first`."""
        return Axis(self.cell[pixels] - np.int32(first), self.share[pixels], self.pitch)

    def bands(self, count: int) -> list[slice]:
        """All pixels in at most so many parts of about equal size, none of which ends inside a cell."""
        starts = np.flatnonzero(np.diff(self.cell, prepend=-1))
        edges = [*np.unique(starts[np.arange(count) * len(starts) // count]).tolist(), len(self.cell)]
        return [slice(*edge) for edge in pairwise(edges)]


def locate(points: int, pixels: int, extent: int | None) -> Axis:
    """The positions of the pixels, as `interpolate(mode="bilinear", align_corners=False)` has them.

    `extent` is how many pixels of the network's input are the image: the grid has a point for every `STRIDE` of them,
    the last perhaps reaching beyond. Without it the grid spans exactly the image.
    """
    pitch = _pitch(points, pixels, extent)
    return _axis(np.clip(_positions(pixels, pitch), 0, points - 1), pitch)


def locate_evenly(points: int, pixels: int, extent: int | None) -> Axis:
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


@dataclass(frozen=True)
class Blend:
    """The grid points and weights that each pixel along an axis is blended from."""

    point: Int64[np.ndarray, "n t"]
    share: Float64[np.ndarray, "n t"]

    def __len__(self) -> int:
        return len(self.point)

    def mirrored(self) -> "Blend":
        """The same for the image seen in a mirror."""
        return Blend(self.point[::-1], self.share[::-1])

    def matrix(self, pixels: slice) -> tuple[Int64[np.ndarray, " p"], Float32[np.ndarray, "m p"]]:
        """The points that some pixels need, and what each pixel takes of each of them."""
        points, inverse = np.unique(self.point[pixels], return_inverse=True)
        columns = inverse.reshape(self.point[pixels].shape)
        shares = np.zeros((len(columns), len(points)))
        np.add.at(shares, (np.arange(len(columns))[:, None], columns), self.share[pixels])
        return points, shares.astype(np.float32)


@dataclass(frozen=True)
class Windows:
    """Where windows lie along one axis of the image that the network sees."""

    starts: tuple[int, ...]
    """The first pixel of each."""
    length: int
    """Of each, in pixels; the last may reach beyond the image."""
    seen: int
    """Pixels of the image itself."""

    def blend(self, pixels: int, points: int) -> Blend:
        """The weights of `pixels` pixels on the grids of the windows, each of `points` points, in one step.

        A grid has a point for every `STRIDE` pixels of its window.
        """
        return self._at((np.arange(pixels) + 0.5) * self.seen / pixels - 0.5, points, 1 / STRIDE)

    def blend_twice(self, pixels: int, points: int) -> Blend:
        """The same in two steps: to the pixels that the network saw, each grid spanning its window, then on."""
        first = self._at(np.arange(self.seen, dtype=np.float64), points, points / self.length)
        second = locate(self.seen, pixels, None)
        ends = second.cell, np.minimum(second.cell + 1, self.seen - 1)
        taken = second.share.astype(np.float64)[:, None]
        shares = (first.share[ends[0]] * (1 - taken), first.share[ends[1]] * taken)
        return Blend(np.concatenate([first.point[end] for end in ends], axis=1), np.concatenate(shares, axis=1))

    def _at(self, positions: Float64[np.ndarray, "n"], points: int, pitch: float) -> Blend:
        """The weights of pixels at some positions: the mean over the windows that contain them."""
        start = np.array(self.starts)
        nearest = np.clip(np.floor(positions + 0.5), 0, self.seen - 1)[:, None]
        is_inside = (start <= nearest) & (nearest < start + self.length)
        position = np.clip((positions[:, None] - start + 0.5) * pitch - 0.5, 0, points - 1)
        cell = position.astype(np.int64)
        weight = is_inside / is_inside.sum(axis=1, keepdims=True)
        grid = np.arange(len(start)) * points
        point = np.concatenate([grid + cell, grid + np.minimum(cell + 1, points - 1)], axis=1)
        share = np.concatenate([weight * (1 - (position - cell)), weight * (position - cell)], axis=1)
        taken = np.take_along_axis(point, share.argmax(axis=1)[:, None], axis=1)
        return Blend(np.where(share > 0, point, taken), share)  # points of weight 0 need not exist


def cover(padded: int, seen: int, window: int | None, stride: int) -> Windows:
    """Windows over an axis, every `stride` pixels, the last moved back to end where the image does.

    A single window as long as the image if `window` is None or the image is shorter.
    """
    if window is None or window >= padded:
        return Windows((0,), padded, seen)
    count = -(-(padded - window) // stride) + 1
    return Windows(tuple(min(index * stride, padded - window) for index in range(count)), window, seen)
