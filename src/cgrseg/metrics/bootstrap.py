"""Bootstrap over images: how much a score would vary with another sample of images.

    areas of each image (p, k) -- draw p images with replacement -- sums (k) -- mIoU
                                  1000 times, the same draws for every model

Images are drawn, not pixels: the pixels of one image are not independent.

Axes: p images, k classes, r draws.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

DRAWS = 1000
"""Samples of the images."""
SEED = 0
LEVEL = 0.95
"""Share of the draws inside an interval, 0..1."""
AT_A_TIME = 100
"""Draws computed together, which limits memory."""

Interval = tuple[float, float]
"""Lower and upper end."""


@dataclass(frozen=True, eq=False)
class Areas:
    """Intersection and union of each class in each image, in pixels."""

    hits: Int64[np.ndarray, "p k"]
    """Pixels of the class in both truth and prediction."""
    unions: Int64[np.ndarray, "p k"]
    """Pixels of the class in truth or prediction."""

    def image_miou(self) -> Float64[np.ndarray, "p"]:
        """MIoU of each image over the classes in its truth or prediction; nan if nothing is labelled."""
        return _miou(self.hits.astype(np.float64), self.unions.astype(np.float64))


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of all draws."""

    miou: Float64[np.ndarray, "r"]
    """mIoU over the pixels of all images drawn."""
    image_miou: Float64[np.ndarray, "r"]
    """Mean of the own mIoU of the images drawn."""


def resample(areas: Areas) -> Resampled:
    """Score `DRAWS` samples of the images; the samples depend only on the number of images."""
    # Sums stay exact in 64-bit floats: no data set has 2**53 pixels.
    hits, unions = areas.hits.astype(np.float64), areas.unions.astype(np.float64)
    image_miou = areas.image_miou()
    labelled = ~np.isnan(image_miou)
    miou, means = [], []
    for times in _draws(len(hits)):
        miou.append(_miou(times @ hits, times @ unions))
        means.append(_quotient(times[:, labelled] @ image_miou[labelled], times[:, labelled].sum(axis=1)))
    return Resampled(np.concatenate(miou), np.concatenate(means))


def interval(values: Float64[np.ndarray, "r"]) -> Interval | None:
    """Interval that holds the middle `LEVEL` of the draws; none if all are nan."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _draws(images: int) -> Iterator[Float64[np.ndarray, "_ p"]]:
    """Yield how often each image occurs in each sample, `AT_A_TIME` samples at a time."""
    rng = np.random.default_rng(SEED)
    for start in range(0, DRAWS, AT_A_TIME):
        rows = min(AT_A_TIME, DRAWS - start)
        yield rng.multinomial(images, np.full(images, 1 / images), size=rows).astype(np.float64)


def _miou(hits: Float64[np.ndarray, "n k"], unions: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, "n"]:
    """Mean IoU of each row over the classes present in it; nan if none is."""
    present = unions > 0
    iou = hits / np.where(present, unions, 1)
    return _quotient(iou.sum(axis=1), present.sum(axis=1).astype(np.float64))


def _quotient(above: Float64[np.ndarray, "n"], below: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
