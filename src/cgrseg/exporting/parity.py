"""Whether an exported file gives what the network gives: labels, logits, score, and what it costs.

Axes: _H _W rows and columns of a prepared image, k classes, h w logit rows and columns.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import ExportError
from cgrseg.evaluation import evaluate
from cgrseg.labelmap import label_map
from cgrseg.predictor import Segmenter
from cgrseg.predictor.views import prepare
from cgrseg.runtime.openvino import INT8
from cgrseg.types import Size
from cgrseg.weights import WeightsInfo

FACTORS = (1.0, 0.5, 0.75, 1.4)
"""Sizes that images are compared at, times the short side that the weights are for."""
EXACT, QUANTIZED = 0.9999, 0.99
"""The share of labels that must be equal, in floats and in INT8."""
MOST_LOST = 0.005
"""How much mIoU, 0..1, may be lost where it is measured."""
ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class SizeParity:
    """All images at one size."""

    short_px: int
    images: int
    equal: float
    """The share of pixels with the same label, 0..1."""
    difference: float
    """The largest difference of two logits."""
    largest: float
    """The largest logit, to compare that with."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How a file compares with the network it was made of."""

    engine: str
    is_int8: bool
    sizes: tuple[SizeParity, ...]
    megabytes: float
    latency_ms: float
    """Median of the network alone, one image at the weights' own size, on as many threads as the engine likes."""
    torch_ms: float
    """The same in PyTorch (folded), timed in turn with it."""
    miou: tuple[float, float] | None = None
    """mIoU of the network and of the file, 0..1, where there was data."""
    in_floats: tuple[str, ...] = ()
    """What an INT8 file leaves in floats."""

    @property
    def bound(self) -> float:
        """The share of equal labels that is asked for."""
        return QUANTIZED if self.is_int8 else EXACT

    @property
    def equal(self) -> float:
        """The share of equal labels at the worst size."""
        return min(size.equal for size in self.sizes)

    @property
    def lost(self) -> float:
        """The mIoU that is lost, 0..1; 0 where it was not measured."""
        return 0.0 if self.miou is None else self.miou[0] - self.miou[1]

    @property
    def agrees(self) -> bool:
        """Whether the file may be kept."""
        return self.equal >= self.bound and self.lost <= MOST_LOST

    def require_agreement(self) -> None:
        """Refuse a file that gives something else.

        Raises:
            ExportError: it does; the message says how far off it is.
        """
        if self.equal < self.bound:
            worst = min(self.sizes, key=lambda size: size.equal)
            raise ExportError(
                f"refused: only {100 * worst.equal:.3f} % of labels at short side {worst.short_px} are "
                f"PyTorch's, {100 * self.bound:g} % are needed",
                advice="nothing was kept",
            )
        if self.lost > MOST_LOST:
            raise ExportError(
                f"refused: mIoU falls by {100 * self.lost:.2f} points, {100 * MOST_LOST:g} are allowed",
                advice="nothing was kept",
            )

    def as_tree(self) -> dict:
        """Plain values for JSON; shares are 0..1."""
        return {
            "engine": self.engine,
            "int8": self.is_int8,
            "in_floats": list(self.in_floats),
            "labels_equal": self.equal,
            "labels_equal_needed": self.bound,
            "sizes": [vars(size) for size in self.sizes],
            "miou_torch": None if self.miou is None else self.miou[0],
            "miou": None if self.miou is None else self.miou[1],
            "megabytes": self.megabytes,
            "latency_ms": self.latency_ms,
            "torch_latency_ms": self.torch_ms,
            "speedup": self.torch_ms / self.latency_ms,
        }


def compare(
    original: Segmenter, exported: Segmenter, path: Path, images: Sequence[np.ndarray], data: LabelledImages | None
) -> Parity:
    """Run both on the same images at several sizes, score both where there are labels, and time both."""
    sizes = tuple(_at(info, original, exported, images) for info in at_judged_sizes(original.info))
    torch_ms, latency_ms = _times(original, exported, prepare(images[0], original.info)[None])
    scores = None
    if data is not None:
        scores = (evaluate(original, data).scores.miou, evaluate(exported, data).scores.miou)
    return Parity(
        engine=exported.engine.name,
        is_int8=INT8 in getattr(exported.engine, "metadata", {}),
        sizes=sizes,
        megabytes=sum(file.stat().st_size for file in path.parent.glob(f"{path.stem}.*")) / 1e6,
        latency_ms=latency_ms,
        torch_ms=torch_ms,
        miou=scores,
    )


def at_judged_sizes(info: WeightsInfo) -> list[WeightsInfo]:
    """The same for each size that images are compared at."""
    shorts = [_multiple(factor * info.inference.short_px) for factor in FACTORS]
    return [replace(info, inference=replace(info.inference, short_px=short)) for short in shorts]


def _multiple(side: float) -> int:
    return max(8, round(side / 8) * 8)


def _at(info: WeightsInfo, original: Segmenter, exported: Segmenter, images: Sequence[np.ndarray]) -> SizeParity:
    same, count, difference, largest = 0, 0, 0.0, 0.0
    for image in images:
        prepared = prepare(image, info)[None]
        size, extent = (image.shape[0], image.shape[1]), (prepared.shape[2], prepared.shape[3])
        ours, theirs = (segmenter.engine(prepared)[0] for segmenter in (original, exported))
        same += _equal(ours, theirs, size, extent)
        count += size[0] * size[1]
        difference = max(difference, float(np.abs(ours - theirs).max()))
        largest = max(largest, float(np.abs(ours).max()))
    return SizeParity(
        short_px=info.inference.short_px,
        images=len(images),
        equal=same / count,
        difference=difference,
        largest=largest,
    )


def _equal(ours: Float32[np.ndarray, "k h w"], theirs: Float32[np.ndarray, "k h w"], size: Size, extent: Size) -> int:
    """Pixels of the label maps that are the same."""
    return int((label_map(ours, size, extent) == label_map(theirs, size, extent)).sum())


def _times(original: Segmenter, exported: Segmenter, prepared: Float32[np.ndarray, "1 3 _H _W"]) -> tuple[float, float]:
    """Medians in milliseconds of the two networks, run in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for each in (original, exported):
        each.engine(prepared)
    for _ in range(ROUNDS):
        for each, spent in zip((original, exported), times, strict=True):
            started = time.perf_counter()
            each.engine(prepared)
            spent.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[0]), statistics.median(times[1])
