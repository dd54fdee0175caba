"""Calibration: are 80 % of the pixels labelled with 80 % confidence right, and which temperature makes them so?

`reliability` sorts labelled pixels into bins by confidence and compares the accuracy of each bin with its mean
confidence. The best temperature (Guo et al. 2017, arXiv 1706.04599) has the least negative log likelihood:

    logits of sampled labelled pixels -- divided by each of GRID --> losses of the true classes --+
    ... of the next image ------------------------------------------------------------------------+-- sum -- lowest

Both can be summed over any number of images in the memory of one.

Axes: k classes, n pixels (or bins of confidence), t temperatures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from cgrseg.types import Confidence, LabelMap, ignore_value

BINS = 15
"""Number of bins of equal width; bin i holds confidences above i / 15 and up to (i + 1) / 15."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Labelled pixels by bin of confidence; those of several images can be added."""

    pixels: Int64[np.ndarray, "n"]
    right: Int64[np.ndarray, "n"]
    """Pixels whose label is right."""
    confidence: Float64[np.ndarray, "n"]
    """Sum of the confidence of the pixels."""

    def __add__(self, other: "Reliability") -> "Reliability":
        return Reliability(self.pixels + other.pixels, self.right + other.right, self.confidence + other.confidence)

    @property
    def expected_error(self) -> float:
        """The expected calibration error, 0..1: mean over pixels of |accuracy - mean confidence| of their bin."""
        total = int(self.pixels.sum())
        return float(np.abs(self.right - self.confidence).sum()) / total if total else 0.0

    def as_tree(self) -> dict:
        """Plain values for JSON; the means of an empty bin are null."""
        rows = zip(self.pixels.tolist(), self.right.tolist(), self.confidence.tolist(), strict=True)
        return {
            "expected_calibration_error": self.expected_error,
            "bins": [
                {
                    "above": index / BINS,
                    "up_to": (index + 1) / BINS,
                    "pixels": pixels,
                    "accuracy": right / pixels if pixels else None,
                    "confidence": confidence / pixels if pixels else None,
                }
                for index, (pixels, right, confidence) in enumerate(rows)
            ],
        }


NOTHING = Reliability(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS))
"""Reliability of no pixels: the start of a sum."""


def reliability(truth: LabelMap, prediction: LabelMap, confidence: Confidence) -> Reliability:
    """Sort the labelled pixels of one image by confidence; ignored pixels are not counted."""
    ignore = ignore_value(truth)
    labelled = truth != ignore
    sure = confidence[labelled].astype(np.float64)
    is_right = truth[labelled] == prediction[labelled]
    bins = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return Reliability(
        pixels=np.bincount(bins, minlength=BINS).astype(np.int64),
        right=np.bincount(bins[is_right], minlength=BINS).astype(np.int64),
        confidence=np.bincount(bins, weights=sure, minlength=BINS).astype(np.float64),
    )


GRID = np.geomspace(1 / 8, 8, 85)
"""Temperatures to try, 5 % apart; between them the loss is interpolated by a parabola over their logarithm."""
PIXELS = 2048
"""Number of labelled pixels sampled from each image."""
SEED = 0


def some_labelled(truth: LabelMap) -> tuple[Int64[np.ndarray, "n"], int]:
    """Sample labelled pixels with a fixed seed; returns their indices in row-major order, and how many are labelled."""
    ignore = ignore_value(truth)
    labelled = np.flatnonzero(truth != ignore)
    if len(labelled) <= PIXELS:
        return labelled, len(labelled)
    drawn = np.random.default_rng(SEED).choice(len(labelled), PIXELS, replace=False)
    return labelled[np.sort(drawn)], len(labelled)


def losses(logits: Float32[np.ndarray, "k n"], truth: Int64[np.ndarray, "n"]) -> Float64[np.ndarray, "t"]:
    """Mean negative log likelihood of the true classes at each temperature of `GRID`."""
    level = logits - logits.max(axis=0)
    own = level[truth, np.arange(len(truth))].astype(np.float64).mean()
    weights = (np.exp(level / np.float32(temperature)).sum(axis=0) for temperature in GRID)
    return np.array([np.log(weight, dtype=np.float64).mean() for weight in weights]) - own / GRID


def lowest(losses: Float64[np.ndarray, "t"]) -> float:
    """Temperature of the least loss, interpolated between those of `GRID` unless it is the first or the last."""
    index = int(losses.argmin())
    if index in (0, len(GRID) - 1):
        return float(GRID[index])
    before, least, after = losses[index - 1 : index + 2]
    curvature = before - 2 * least + after
    shift = 0.0 if curvature <= 0 else (before - after) / (2 * curvature)
    return float(GRID[index] * (GRID[1] / GRID[0]) ** shift)
