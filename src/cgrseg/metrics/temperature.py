"""The temperature that makes confidence honest (Guo et al. 2017, arXiv 1706.04599): the least negative log likelihood.

    logits of some labelled pixels -- over each of GRID --> loss of the true class --+
    ... of the next picture                                                          +-- sum -- lowest --> temperature

Losses of pictures add up, so any number of them takes the memory of one.

Axes: k classes, n pixels, t temperatures.
"""

import numpy as np
from jaxtyping import Float32, Float64, Int64

from cgrseg.arrays import IGNORE, LabelMap

GRID = np.geomspace(1 / 8, 8, 85)
"""Temperatures that are tried, 5 % apart; between them the loss is a parabola over their logarithms."""
PIXELS = 2048
"""Labelled pixels that are looked at in each picture."""
SEED = 0


def some_labelled(truth: LabelMap) -> tuple[Int64[np.ndarray, "n"], int]:
    """Some labelled pixels, drawn at random but always the same, numbered row after row; and how many there are."""
    ignore = IGNORE if truth.dtype.itemsize == 1 else np.iinfo(np.uint16).max
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
