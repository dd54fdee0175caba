"""What the network is shown of a picture where that is more than the whole of it once, and what it says of it all.

    picture -- sights: sizes, mirrored or not -- resize, mirror, normalise, pad -- windows -- engine
                                                            labels <-- mixed <-- looks <-- grids side by side

Windows are made when the engine is ready for them, so a picture at twelve sizes is in memory at one.

Axes: k classes, h w grid rows and columns, _H _W rows and columns of a prepared picture, _h _w those of a window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float32, UInt8

from cgrseg.arrays import Image, Size
from cgrseg.data.images import resize_image
from cgrseg.data.transforms import fit_size, normalise
from cgrseg.inference.protocol import Protocol
from cgrseg.inference.running import run
from cgrseg.labeling import Look, Windows, cover
from cgrseg.runtime import Engine
from cgrseg.weights import WeightsInfo

MULTIPLE = 32
"""Sides are filled up to multiples of this by the authors' code."""


@dataclass(frozen=True)
class Sight:
    """One size at which the network sees a picture."""

    size: Size
    """To which the picture is brought."""
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
    """All that the network is shown of a picture of this size."""
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
    """What the network says of the windows of one sight, placed on a picture of this size."""
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
    """Run the network on all that it is shown of each picture."""
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
