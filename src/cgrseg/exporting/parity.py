"""Parity of an exported file with the network in PyTorch: labels, logits, mIoU and time.

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
"""Sizes to compare at, relative to the short side of the weights."""
EXACT, QUANTIZED = 0.9999, 0.99
"""Share of labels, 0..1, that must be equal in floats and in INT8."""
MOST_LOST = 0.005
"""Largest loss of mIoU, 0..1, that is accepted."""
ROUNDS = 5
"""Timed passes of each network."""


@dataclass(frozen=True, kw_only=True)
class SizeParity:
    """Comparison of all images at one size."""

    short_px: int
    images: int
    equal: float
    """Share of pixels with the same label, 0..1."""
    difference: float
    """Largest difference between two logits."""
    largest: float
    """Largest logit, for scale."""

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        return {
            "short_px": self.short_px,
            "pictures": self.images,
            "equal": self.equal,
            "difference": self.difference,
            "largest": self.largest,
        }


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Comparison of an exported file with the network it was made from."""

    engine: str
    is_int8: bool
    sizes: tuple[SizeParity, ...]
    megabytes: float
    latency_ms: float
    """Median time of the network for one image at the size of the weights, with the engine's default threads."""
    torch_ms: float
    """The same in PyTorch (folded), timed alternately."""
    miou: tuple[float, float] | None = None
    """mIoU of the network and of the file, 0..1; none without labelled images."""
    in_floats: tuple[str, ...] = ()
    """Parts of the network that an INT8 file leaves in floats."""

    @property
    def bound(self) -> float:
        """Share of equal labels that is required."""
        return QUANTIZED if self.is_int8 else EXACT

    @property
    def equal(self) -> float:
        """Share of equal labels at the worst size."""
        return min(size.equal for size in self.sizes)

    @property
    def lost(self) -> float:
        """Loss of mIoU, 0..1; 0 if it was not measured."""
        return 0.0 if self.miou is None else self.miou[0] - self.miou[1]

    @property
    def agrees(self) -> bool:
        """Whether the file is close enough to be kept."""
        return self.equal >= self.bound and self.lost <= MOST_LOST

    def require_agreement(self) -> None:
        """Raise an error unless the file agrees with the network.

        Raises:
            ExportError: too many labels differ, or too much mIoU is lost; the message says how much.
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
            "sizes": [size.as_tree() for size in self.sizes],
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
    """Run both on the same images at several sizes, time both, and score both if there are labelled images."""
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
    """The metadata with the short side of each size to compare at."""
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
    """Number of pixels with the same label."""
    return int((label_map(ours, size, extent) == label_map(theirs, size, extent)).sum())


def _times(original: Segmenter, exported: Segmenter, prepared: Float32[np.ndarray, "1 3 _H _W"]) -> tuple[float, float]:
    """Median milliseconds of the two networks, run alternately."""
    times: tuple[list[float], list[float]] = ([], [])
    for segmenter in (original, exported):
        segmenter.engine(prepared)
    for _ in range(ROUNDS):
        for segmenter, spent in zip((original, exported), times, strict=True):
            start = time.perf_counter()
            segmenter.engine(prepared)
            spent.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[0]), statistics.median(times[1])
