"""What the network says of a whole image, and the labels that follow from it.

    image -- resize to fit, normalise -- engine -- evidence --+-- upsampled argmax --> labels, sized as the image
                                                                +-- upsampled softmax --> confidence

Axes: k classes, h w grid rows and columns, n pixels, _H _W rows and columns of the prepared image.

What the network is shown of an image where that is more than the whole of it once, and what it says of it all.

    image -- sights: sizes, mirrored or not -- resize, mirror, normalise, pad -- windows -- engine
                                                            labels <-- mixed <-- looks <-- grids side by side

Windows are made when the engine is ready for them, so an image at twelve sizes is in memory at one.

Axes: k classes, h w grid rows and columns, _H _W rows and columns of a prepared image, _h _w those of a window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from cgrseg.data.images import resize_image
from cgrseg.data.transforms import fit_size, normalise
from cgrseg.labelmap import Look, Windows, confidence_map, cover, label_map
from cgrseg.labelmap.grid import Axis, place
from cgrseg.predictor.pipeline import run
from cgrseg.predictor.protocols import Protocol
from cgrseg.runtime import Engine
from cgrseg.types import Confidence, Image, LabelMap, Size
from cgrseg.weights import WeightsInfo


@dataclass(frozen=True)
class Evidence:
    """What the network says of an image: logits, and how their grid lies on it."""

    logits: Float32[np.ndarray, "k h w"] = field(repr=False)
    size: Size
    """Of the image."""
    extent: Size
    """Of the prepared image, which the grid covers."""
    temperature: float = 1.0
    """Divides the logits that confidence comes from."""

    def labels(self, threads: int = 1) -> LabelMap:
        """The class of each pixel."""
        return label_map(self.logits, self.size, self.extent, threads=threads)

    def confidence(self, threads: int = 1) -> Confidence:
        """The probability of each pixel's class; it costs more than the labels."""
        logits = self.logits if self.temperature == 1 else self.logits / np.float32(self.temperature)
        return confidence_map(logits, self.size, self.extent, threads=threads)

    def logits_of(self, pixels: Int64[np.ndarray, "n"]) -> Float32[np.ndarray, "k n"]:
        """The upsampled logits of some pixels, numbered row after row; the temperature does not touch them."""
        height, width = self.logits.shape[1:]
        rows, columns = (place(*axis) for axis in zip((height, width), self.size, self.extent, strict=True))
        above, below, down = _ends(rows, pixels // self.size[1], height)
        left, right, along = _ends(columns, pixels % self.size[1], width)
        first = self.logits[:, above, left] * (1 - down) + self.logits[:, below, left] * down
        second = self.logits[:, above, right] * (1 - down) + self.logits[:, below, right] * down
        return first * (1 - along) + second * along


def _ends(
    axis: Axis, pixels: Int64[np.ndarray, "n"], points: int
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"], Float32[np.ndarray, "n"]]:
    """The grid points before and behind each pixel, and how far it lies between them."""
    before = axis.cell[pixels].astype(np.int64)
    return before, np.minimum(before + 1, points - 1), axis.share[pixels]


def prepare(image: Image, info: WeightsInfo) -> Float32[np.ndarray, "3 _H _W"]:
    """The image as the network takes it: of the size it was made for, aspect kept, and normalised."""
    size = fit_size(_size(image), (info.inference.short_px, info.inference.long_px))
    return normalise(resize_image(image, size), info.mean, info.std)


def infer(
    engine: Engine,
    images: Sequence[tuple[Float32[np.ndarray, "3 _ _"], Size]],
    temperature: float = 1.0,
    batch: int = 1,
) -> list[Evidence]:
    """Run the network on prepared images, each with the size of the image it was made from."""
    answers = run(engine, (array for array, _ in images), batch)
    return [
        Evidence(logits, size, (array.shape[1], array.shape[2]), temperature)
        for logits, (array, size) in zip(answers, images, strict=True)
    ]


def _size(image: np.ndarray) -> Size:
    return image.shape[0], image.shape[1]


MULTIPLE = 32
"""Sides are filled up to multiples of this by the authors' code."""


@dataclass(frozen=True)
class Sight:
    """One size at which the network sees an image."""

    size: Size
    """To which the image is brought."""
    padded: Size
    """To which it is filled up with zeros at the right and the bottom."""
    rows: Windows
    columns: Windows
    is_mirrored: bool
    in_two_steps: bool

    @property
    def windows(self) -> int:
        """How many there are."""
        return len(self.rows.starts) * len(self.columns.starts)


def sights(size: Size, info: WeightsInfo, protocol: Protocol) -> list[Sight]:
    """All that the network is shown of an image of this size."""
    return [
        _sight(size, info, protocol, factor, is_mirrored)
        for factor in protocol.factors
        for is_mirrored in ((False, True) if protocol.mirrored else (False,))
    ]


def _sight(size: Size, info: WeightsInfo, protocol: Protocol, factor: float, is_mirrored: bool) -> Sight:
    short, long = (max(1, int(side * factor)) for side in (info.inference.short_px, info.inference.long_px))
    seen = fit_size(size, (short, long))
    padded = tuple(-(-side // MULTIPLE) * MULTIPLE for side in seen) if protocol.paper_exact else seen
    windows, strides = protocol.window_px or (None, None), protocol.stride_px or (1, 1)
    rows, columns = (cover(*axis) for axis in zip(padded, seen, windows, strides, strict=True))
    return Sight(seen, (padded[0], padded[1]), rows, columns, is_mirrored, protocol.paper_exact)


def cut(image: Image, sight: Sight, info: WeightsInfo) -> Iterator[Float32[np.ndarray, "3 _h _w"]]:
    """The windows of one sight, row after row of them."""
    resized = resize_image(image, sight.size)
    prepared = normalise(np.ascontiguousarray(resized[:, ::-1]) if sight.is_mirrored else resized, info.mean, info.std)
    if sight.padded != sight.size:
        missing = ((0, 0), *((0, full - side) for full, side in zip(sight.padded, sight.size, strict=True)))
        prepared = np.pad(prepared, missing)
    for top in sight.rows.starts:
        for left in sight.columns.starts:
            yield prepared[:, top : top + sight.rows.length, left : left + sight.columns.length]


def look(sight: Sight, grids: Sequence[Float32[np.ndarray, "k h w"]], size: Size) -> Look:
    """What the network says of the windows of one sight, placed on an image of this size."""
    height, width = grids[0].shape[1:]
    across = len(sight.columns.starts)
    lines = [np.concatenate(grids[start : start + across], axis=2) for start in range(0, len(grids), across)]
    way = Windows.blend_twice if sight.in_two_steps else Windows.blend
    columns = way(sight.columns, size[1], width)
    return Look(
        np.concatenate(lines, axis=1),
        way(sight.rows, size[0], height),
        columns.mirrored() if sight.is_mirrored else columns,
    )


def infer_parts(
    engine: Engine, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], info: WeightsInfo, protocol: Protocol, batch: int = 1
) -> list[list[Look]]:
    """Run the network on all that it is shown of each image."""
    sizes = [(image.shape[0], image.shape[1]) for image in images]
    plans = [sights(size, info, protocol) for size in sizes]
    windows = (
        window
        for image, plan in zip(images, plans, strict=True)
        for sight in plan
        for window in cut(image, sight, info)
    )
    grids = iter(run(engine, windows, batch))
    return [
        [look(sight, list(islice(grids, sight.windows)), size) for sight in plan]
        for size, plan in zip(sizes, plans, strict=True)
    ]
