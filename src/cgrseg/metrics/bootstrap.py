"""How far another sample of images would move a score: the bootstrap over images.

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
SEED = 0
LEVEL = 0.95
"""The share of draws inside an interval."""
AT_A_TIME = 100
"""Draws made together, which bounds the memory."""

Interval = tuple[float, float]
"""Lower and upper end."""


@dataclass(frozen=True, eq=False)
class Areas:
    """What each image holds of each class, in pixels."""

    hits: Int64[np.ndarray, "p k"]
    """Pixels of the class in truth and prediction."""
    unions: Int64[np.ndarray, "p k"]
    """Pixels of the class in truth or prediction."""

    def picture_miou(self) -> Float64[np.ndarray, "p"]:
        """The mIoU of each image over the classes in its truth or prediction; nan where nothing is labelled."""
        return _miou(self.hits.astype(np.float64), self.unions.astype(np.float64))


@dataclass(frozen=True, eq=False)
class Resampled:
    """Scores of each draw."""

    miou: Float64[np.ndarray, "r"]
    """mIoU of all pixels drawn."""
    picture_miou: Float64[np.ndarray, "r"]
    """Mean over the images drawn of their own mIoU."""


def resample(areas: Areas) -> Resampled:
    """The scores of `DRAWS` samples of the images; the same samples for the same number of images."""
    # Sums stay exact in 64-bit floats: no data set has 2**53 pixels.
    hits, unions = areas.hits.astype(np.float64), areas.unions.astype(np.float64)
    own = areas.picture_miou()
    labelled = ~np.isnan(own)
    miou, images = [], []
    for times in _draws(len(hits)):
        miou.append(_miou(times @ hits, times @ unions))
        images.append(_quotient(times[:, labelled] @ own[labelled], times[:, labelled].sum(axis=1)))
    return Resampled(np.concatenate(miou), np.concatenate(images))


def interval(values: Float64[np.ndarray, "r"]) -> Interval | None:
    """The middle `LEVEL` of the draws; none where no draw has a value."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _draws(images: int) -> Iterator[Float64[np.ndarray, "_ p"]]:
    """How often each image is in each sample."""
    rng = np.random.default_rng(SEED)
    for start in range(0, DRAWS, AT_A_TIME):
        rows = min(AT_A_TIME, DRAWS - start)
        yield rng.multinomial(images, np.full(images, 1 / images), size=rows).astype(np.float64)


def _miou(hits: Float64[np.ndarray, "n k"], unions: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, "n"]:
    """The mean IoU of each row over its classes; nan where there is none."""
    present = unions > 0
    iou = hits / np.where(present, unions, 1)
    return _quotient(iou.sum(axis=1), present.sum(axis=1).astype(np.float64))


def _quotient(above: Float64[np.ndarray, "n"], below: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
