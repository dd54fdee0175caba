"""Whether confidence is earned: of the pixels labelled with 80 % confidence, are 80 % right?

Axes: H W picture rows and columns, n bins of confidence.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from cgrseg.arrays import IGNORE, Confidence, LabelMap

BINS = 15
"""Of equal width; the i-th holds confidences above i / 15 up to (i + 1) / 15."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Labelled pixels by confidence; those of several pictures add up."""

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
    """The labelled pixels of one picture by confidence; ignored ones are not counted."""
    ignore = IGNORE if truth.dtype.itemsize == 1 else np.iinfo(np.uint16).max
    labelled = truth != ignore
    sure = confidence[labelled].astype(np.float64)
    is_right = truth[labelled] == prediction[labelled]
    place = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return Reliability(
        pixels=np.bincount(place, minlength=BINS).astype(np.int64),
        right=np.bincount(place[is_right], minlength=BINS).astype(np.int64),
        confidence=np.bincount(place, weights=sure, minlength=BINS).astype(np.float64),
    )
