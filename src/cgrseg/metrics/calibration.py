"""Whether confidence is earned: of the pixels labelled with 80 % confidence, are 80 % right?

Axes: H W image rows and columns, n bins of confidence.

The temperature that makes confidence honest (Guo et al. 2017, arXiv 1706.04599): the least negative log likelihood.

    logits of some labelled pixels -- over each of GRID --> loss of the true class --+
    ... of the next image                                                          +-- sum -- lowest --> temperature

Losses of images add up, so any number of them takes the memory of one.

Axes: k classes, n pixels, t temperatures.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from cgrseg.types import Confidence, LabelMap, ignore_value

BINS = 15
"""Of equal width; the i-th holds confidences above i / 15 up to (i + 1) / 15."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Labelled pixels by confidence; those of several images add up."""

    pixels: Int64[np.ndarray, "n"]
    right: Int64[np.ndarray, "n"]
    """Those whose label is the true one."""
    confidence: Float64[np.ndarray, "n"]
    """Sum over the pixels."""

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
"""Of no pixels."""


def reliability(truth: LabelMap, prediction: LabelMap, confidence: Confidence) -> Reliability:
    """The labelled pixels of one image by confidence; ignored ones are not counted."""
    ignore = ignore_value(truth)
    labelled = truth != ignore
    sure = confidence[labelled].astype(np.float64)
    is_right = truth[labelled] == prediction[labelled]
    place = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return Reliability(
        pixels=np.bincount(place, minlength=BINS).astype(np.int64),
        right=np.bincount(place[is_right], minlength=BINS).astype(np.int64),
        confidence=np.bincount(place, weights=sure, minlength=BINS).astype(np.float64),
    )


GRID = np.geomspace(1 / 8, 8, 85)
"""Temperatures that are tried, 5 % apart; between them the loss is a parabola over their logarithms."""
PIXELS = 2048
"""Labelled pixels that are looked at in each image."""
SEED = 0


def some_labelled(truth: LabelMap) -> tuple[Int64[np.ndarray, "n"], int]:
    """Some labelled pixels, drawn at random but always the same, numbered row after row; and how many there are."""
    ignore = ignore_value(truth)
    labelled = np.flatnonzero(truth != ignore)
    if len(labelled) <= PIXELS:
        return labelled, len(labelled)
    drawn = np.random.default_rng(SEED).choice(len(labelled), PIXELS, replace=False)
    return labelled[np.sort(drawn)], len(labelled)


def losses(logits: Float32[np.ndarray, "k n"], truth: Int64[np.ndarray, "n"]) -> Float64[np.ndarray, "t"]:
    """The mean negative log likelihood of the true classes at each temperature of `GRID`."""
    level = logits - logits.max(axis=0)
    own = level[truth, np.arange(len(truth))].astype(np.float64).mean()
    weights = (np.exp(level / np.float32(temperature)).sum(axis=0) for temperature in GRID)
    return np.array([np.log(weight, dtype=np.float64).mean() for weight in weights]) - own / GRID


def lowest(losses: Float64[np.ndarray, "t"]) -> float:
    """The temperature of the least loss, between those that were tried where it is not the first or the last."""
    place = int(losses.argmin())
    if place in (0, len(GRID) - 1):
        return float(GRID[place])
    before, here, behind = losses[place - 1 : place + 2]
    bend = before - 2 * here + behind
    shift = 0.0 if bend <= 0 else (before - behind) / (2 * bend)
    return float(GRID[place] * (GRID[1] / GRID[0]) ** shift)
