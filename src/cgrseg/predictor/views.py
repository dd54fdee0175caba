"""Test-time views of an image (scales, flips, windows), and the logits the network gives for them.

    image -- views -- resize, mirror, normalise, pad -- windows -- engine -- grids of logits
                                                                                |
    labels, confidence <-- ImageLogits (one whole view) or EnsembleLogits (several) <--+

Windows are made when the engine is ready for them, so an image at twelve sizes is in memory at one.

Axes: k classes, h w grid rows and columns, n pixels, _H _W rows and columns of a prepared image, _h _w of a window.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Protocol as Interface
from typing import runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from cgrseg.data.images import resize_image
from cgrseg.data.transforms import fit_size, normalise
from cgrseg.labelmap import ViewLogits, Windows, confidence_map, cover, ensemble_maps, label_map
from cgrseg.labelmap.grid import Axis, locate
from cgrseg.predictor.protocols import Protocol
from cgrseg.types import Confidence, Image, LabelMap, Size
from cgrseg.weights import WeightsInfo

MULTIPLE = 32
"""The authors' code pads sides to multiples of this."""
COARSE = 4
"""A mean confidence is taken over every so many rows and columns."""


@runtime_checkable
class ConfidenceSource(Interface):
    """Anything that gives the confidence of a label map: logits, or the confidence itself."""

    def confidence(self) -> Confidence:
        """The probability of the label of each pixel."""
        ...

    def mean_confidence(self) -> float:
        """The mean over all pixels, 0..1; from a coarse map where the full one is not known."""
        ...


@dataclass(frozen=True, eq=False)
class KnownConfidence:
    """A confidence map that has been computed."""

    values: Confidence

    def confidence(self) -> Confidence:
        return self.values

    def mean_confidence(self) -> float:
        return float(self.values.mean(dtype=np.float64))


@dataclass(frozen=True)
class ImageLogits:
    """Logits of a whole image, seen once."""

    logits: Float32[np.ndarray, "k h w"] = field(repr=False)
    size: Size
    """Height and width of the image."""
    extent: Size
    """Height and width of the prepared image, which the grid covers."""
    temperature: float = 1.0
    """Divides the logits that confidence is computed from."""

    def maps(self, threads: int = 1) -> tuple[LabelMap, ConfidenceSource]:
        """The class of each pixel, and where its confidence can be had; confidence costs more than the labels."""
        return self.labels(threads), self

    def labels(self, threads: int = 1) -> LabelMap:
        """The class of each pixel."""
        return label_map(self.logits, self.size, self.extent, threads=threads)

    def confidence(self, threads: int = 1) -> Confidence:
        """The probability of each pixel's class."""
        return confidence_map(self._tempered(), self.size, self.extent, threads=threads)

    def mean_confidence(self) -> float:
        coarse = tuple(max(1, side // COARSE) for side in self.size)
        values = confidence_map(self._tempered(), (coarse[0], coarse[1]), self.extent)
        return float(values.mean(dtype=np.float64))

    def logits_of(self, pixels: Int64[np.ndarray, "n"]) -> Float32[np.ndarray, "k n"]:
        """The upsampled logits of some pixels, numbered row by row; the temperature is not applied."""
        height, width = self.logits.shape[1:]
        rows, columns = (locate(*axis) for axis in zip((height, width), self.size, self.extent, strict=True))
        above, below, down = _ends(rows, pixels // self.size[1], height)
        left, right, along = _ends(columns, pixels % self.size[1], width)
        first = self.logits[:, above, left] * (1 - down) + self.logits[:, below, left] * down
        second = self.logits[:, above, right] * (1 - down) + self.logits[:, below, right] * down
        return first * (1 - along) + second * along

    def _tempered(self) -> Float32[np.ndarray, "k h w"]:
        return self.logits if self.temperature == 1 else self.logits / np.float32(self.temperature)


@dataclass(frozen=True)
class EnsembleLogits:
    """Logits of an image seen several times, or in windows; their probabilities are averaged."""

    views: tuple[ViewLogits, ...] = field(repr=False)
    temperature: float = 1.0

    def maps(self, threads: int = 1) -> tuple[LabelMap, ConfidenceSource]:
        """The class of each pixel and its confidence, which one pass gives together."""
        labels, confidence = ensemble_maps(self.views, self.temperature, threads)
        return labels, KnownConfidence(confidence)


def _ends(
    axis: Axis, pixels: Int64[np.ndarray, "n"], points: int
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"], Float32[np.ndarray, "n"]]:
    """The grid points before and after each pixel, and how far it lies between them."""
    before = axis.cell[pixels].astype(np.int64)
    return before, np.minimum(before + 1, points - 1), axis.share[pixels]


def prepare(image: Image, info: WeightsInfo) -> Float32[np.ndarray, "3 _H _W"]:
    """The whole image as network input: resized to the size the weights are for, aspect kept, and normalised."""
    size = fit_size((image.shape[0], image.shape[1]), (info.inference.short_px, info.inference.long_px))
    return normalise(resize_image(image, size), info.mean, info.std)


@dataclass(frozen=True)
class View:
    """One way to show an image to the network: a size, mirrored or not, whole or in windows."""

    size: Size
    """The image is resized to this."""
    padded: Size
    """And padded with zeros at the right and the bottom to this."""
    rows: Windows
    columns: Windows
    is_mirrored: bool
    in_two_steps: bool

    @property
    def windows(self) -> int:
        """The number of windows."""
        return len(self.rows.starts) * len(self.columns.starts)


def plan_views(size: Size, info: WeightsInfo, protocol: Protocol) -> list[View]:
    """The views of an image of this size that a protocol asks for."""
    return [
        _view(size, info, protocol, factor, is_mirrored)
        for factor in protocol.factors
        for is_mirrored in ((False, True) if protocol.mirrored else (False,))
    ]


def _view(size: Size, info: WeightsInfo, protocol: Protocol, factor: float, is_mirrored: bool) -> View:
    short, long = (max(1, int(side * factor)) for side in (info.inference.short_px, info.inference.long_px))
    seen = fit_size(size, (short, long))
    padded = tuple(-(-side // MULTIPLE) * MULTIPLE for side in seen) if protocol.paper_exact else seen
    windows, strides = protocol.window_px or (None, None), protocol.stride_px or (1, 1)
    rows, columns = (cover(*axis) for axis in zip(padded, seen, windows, strides, strict=True))
    return View(seen, (padded[0], padded[1]), rows, columns, is_mirrored, protocol.paper_exact)


def cut_windows(image: Image, view: View, info: WeightsInfo) -> Iterator[Float32[np.ndarray, "3 _h _w"]]:
    """The windows of one view, row by row."""
    resized = resize_image(image, view.size)
    prepared = normalise(np.ascontiguousarray(resized[:, ::-1]) if view.is_mirrored else resized, info.mean, info.std)
    if view.padded != view.size:
        missing = ((0, 0), *((0, full - side) for full, side in zip(view.padded, view.size, strict=True)))
        prepared = np.pad(prepared, missing)
    for top in view.rows.starts:
        for left in view.columns.starts:
            yield prepared[:, top : top + view.rows.length, left : left + view.columns.length]


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image as the network takes it: the plan of its views, and their windows."""

    size: Size
    """Height and width of the image."""
    views: list[View]
    windows: Iterable[Float32[np.ndarray, "3 _h _w"]]
    """Of all views in order; of one plain view the array itself, else made one by one."""
    is_plain: bool
    """Whether the network sees the image once and whole."""


def prepare_views(image: UInt8[np.ndarray, "_H _W 3"], info: WeightsInfo, protocol: Protocol) -> PreparedImage:
    """An image, ready for `infer`."""
    size = (image.shape[0], image.shape[1])
    if protocol.is_plain:
        return PreparedImage(size, plan_views(size, info, protocol), [prepare(image, info)], is_plain=True)
    views = plan_views(size, info, protocol)
    windows = chain.from_iterable(cut_windows(image, view, info) for view in views)
    return PreparedImage(size, views, windows, is_plain=False)


Network = Callable[[Float32[np.ndarray, "b 3 H W"]], Float32[np.ndarray, "b k h w"]]
"""Anything that is called as an engine is."""


def infer(
    engine: Network, images: Sequence[PreparedImage], temperature: float = 1.0, batch: int = 1
) -> list[ImageLogits | EnsembleLogits]:
    """Run the network on prepared images; up to `batch` windows of one size share a call of the engine."""
    grids = iter(run(engine, chain.from_iterable(image.windows for image in images), batch))
    return [_gather(image, grids, temperature) for image in images]


def _gather(
    image: PreparedImage, grids: Iterator[Float32[np.ndarray, "k _ _"]], temperature: float
) -> ImageLogits | EnsembleLogits:
    if image.is_plain:
        return ImageLogits(next(grids), image.size, image.views[0].size, temperature)
    views = (view_logits(view, list(islice(grids, view.windows)), image.size) for view in image.views)
    return EnsembleLogits(tuple(views), temperature)


def view_logits(view: View, grids: Sequence[Float32[np.ndarray, "k h w"]], size: Size) -> ViewLogits:
    """The logits of the windows of one view, located on an image of this size."""
    height, width = grids[0].shape[1:]
    across = len(view.columns.starts)
    lines = [np.concatenate(grids[start : start + across], axis=2) for start in range(0, len(grids), across)]
    blend = Windows.blend_twice if view.in_two_steps else Windows.blend
    columns = blend(view.columns, size[1], width)
    return ViewLogits(
        np.concatenate(lines, axis=1),
        blend(view.rows, size[0], height),
        columns.mirrored() if view.is_mirrored else columns,
    )


def run(
    engine: Network, images: Iterable[Float32[np.ndarray, "3 _ _"]], batch: int
) -> list[Float32[np.ndarray, "k _ _"]]:
    """The logits of each image, in order; up to `batch` images of one size share a call."""
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
    answers: dict[int, np.ndarray] = {}
    for index, image in enumerate(images):
        group = waiting.setdefault(image.shape, [])
        group.append((index, image))
        if len(group) == batch:
            answers |= _call(engine, waiting.pop(image.shape))
    for group in waiting.values():
        answers |= _call(engine, group)
    return [answers[index] for index in range(len(answers))]


def _call(engine: Network, group: list[tuple[int, np.ndarray]]) -> dict[int, np.ndarray]:
    indices, images = zip(*group, strict=True)
    together = np.ascontiguousarray(images[0][None]) if len(group) == 1 else np.stack(images)
    return dict(zip(indices, engine(together), strict=True))
