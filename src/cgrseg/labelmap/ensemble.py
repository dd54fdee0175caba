"""Labels from several views of one image: the class of the highest mean probability, one tile of pixels at a time.

    view: logits (k, h, w) -- blend rows, columns --> tile (k, r, c) -- softmax --+
    view: ...                                                                     +-- mean -- argmax --> labels
    view: ...                                                                     +       +-- maximum --> confidence

Nothing of the image's size and all its classes is ever held.

Axes: k classes, h w grid rows and columns, r c rows and columns of a tile, H W image rows and columns.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64

from cgrseg.labelmap.grid import Blend
from cgrseg.types import IGNORE, Confidence, LabelMap

TILE = (32, 128)
"""Rows and columns of pixels that are held with all their classes; small, so that products stay in one thread."""


@dataclass(frozen=True)
class ViewLogits:
    """Logits of one view, with the weights that interpolate them at each row and column of pixels."""

    logits: Float32[np.ndarray, "k h w"] = field(repr=False)
    rows: Blend
    columns: Blend


def ensemble_maps(
    views: Sequence[ViewLogits], temperature: float = 1.0, threads: int = 1
) -> tuple[LabelMap, Confidence]:
    """The class of the highest mean probability at each pixel, the lowest of equals, and how probable it is.

    The temperature divides the logits that confidence comes from. Labels come from the logits as they are.
    """
    size = len(views[0].rows), len(views[0].columns)
    labels = np.empty(size, np.uint8 if len(views[0].logits) <= IGNORE else np.uint16)
    confidence = np.empty(size, np.float32)
    columns = _parts(size[1], TILE[1])
    along = [[view.columns.matrix(part) for part in columns] for view in views]

    def fill(rows: slice) -> None:
        down = [view.rows.matrix(rows) for view in views]
        for index, part in enumerate(columns):
            chosen = [(view.logits, ends, across[index]) for view, ends, across in zip(views, down, along, strict=True)]
            probability = _mean_probability(chosen, 1.0)
            best = probability.argmax(axis=0)
            if temperature != 1:
                probability = _mean_probability(chosen, temperature)
            labels[rows, part] = best
            confidence[rows, part] = np.take_along_axis(probability, best[None], axis=0)[0]

    with ThreadPoolExecutor(threads, thread_name_prefix="ensemble") as pool:
        list(pool.map(fill, _parts(size[0], TILE[0])))
    return labels, confidence


_Shares = tuple[Int64[np.ndarray, " _"], Float32[np.ndarray, "_ _"]]
"""Points of a grid, and what each pixel of a part takes of each of them."""


def _mean_probability(
    views: Sequence[tuple[Float32[np.ndarray, "k _ _"], _Shares, _Shares]], temperature: float
) -> Float32[np.ndarray, "k r c"]:
    """The mean over the views of the probability of each class at the pixels of a tile."""
    total = _probability(*views[0], temperature)
    for view in views[1:]:
        total += _probability(*view, temperature)
    total /= len(views)
    return total


def _probability(
    logits: Float32[np.ndarray, "k h w"], rows: _Shares, columns: _Shares, temperature: float
) -> Float32[np.ndarray, "k r c"]:
    """The softmax of the upsampled logits of a tile."""
    corner = logits[:, rows[0]][:, :, columns[0]]
    tile = rows[1] @ corner @ columns[1].T
    if temperature != 1:
        tile /= temperature
    tile -= tile.max(axis=0)
    np.exp(tile, out=tile)
    tile /= tile.sum(axis=0)
    return tile


def _parts(pixels: int, most: int) -> list[slice]:
    return [slice(start, min(start + most, pixels)) for start in range(0, pixels, most)]
