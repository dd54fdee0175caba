"""Labels from several looks at one picture: the class of the highest mean probability, one tile of pixels at a time.

    look: logits (k, h, w) -- blend rows, columns --> tile (k, r, c) -- softmax --+
    look: ...                                                                     +-- mean -- argmax --> labels
    look: ...                                                                     +       +-- maximum --> confidence

Nothing of the picture's size and all its classes is ever held.

Axes: k classes, h w grid rows and columns, r c rows and columns of a tile, H W picture rows and columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from cgrseg.arrays import IGNORE, Confidence, LabelMap
from cgrseg.labeling.blend import Blend

TILE = (64, 256)
"""Rows and columns of pixels that are held with all their classes."""


@dataclass(frozen=True)
class Look:
    """What the network says at one size: logits, and what each row and column of pixels takes of their grid."""

    logits: Float32[np.ndarray, "k h w"] = field(repr=False)
    rows: Blend
    columns: Blend


def mixed_maps(looks: Sequence[Look], temperature: float = 1.0) -> tuple[LabelMap, Confidence]:
    """The class of the highest mean probability at each pixel, the lowest of equals, and how probable it is.

    The temperature divides the logits that confidence comes from. Labels come from the logits as they are.
    """
    size = len(looks[0].rows), len(looks[0].columns)
    labels = np.empty(size, np.uint8 if len(looks[0].logits) <= IGNORE else np.uint16)
    confidence = np.empty(size, np.float32)
    columns = _parts(size[1], TILE[1])
    along = [[look.columns.matrix(part) for part in columns] for look in looks]
    for rows in _parts(size[0], TILE[0]):
        down = [look.rows.matrix(rows) for look in looks]
        for place, part in enumerate(columns):
            chosen = [(look.logits, ends, across[place]) for look, ends, across in zip(looks, down, along, strict=True)]
            probability = _mean_probability(chosen, 1.0)
            best = probability.argmax(dim=0, keepdim=True)
            if temperature != 1:
                probability = _mean_probability(chosen, temperature)
            labels[rows, part] = best[0].numpy()
            confidence[rows, part] = probability.gather(0, best)[0].numpy()
    return labels, confidence


_Shares = tuple[Int64[np.ndarray, " _"], Float32[np.ndarray, "_ _"]]
"""Points of a grid, and what each pixel of a part takes of each of them."""


def _mean_probability(
    looks: Sequence[tuple[Float32[np.ndarray, "k _ _"], _Shares, _Shares]], temperature: float
) -> Float32[Tensor, "k r c"]:
    """The mean over the looks of the probability of each class at the pixels of a tile."""
    total = sum(torch.softmax(_tile(*look).div_(temperature), dim=0) for look in looks)
    assert isinstance(total, Tensor)
    return total.div_(len(looks))


def _tile(logits: Float32[np.ndarray, "k h w"], rows: _Shares, columns: _Shares) -> Float32[Tensor, "k r c"]:
    """The upsampled logits of a tile."""
    corner = torch.from_numpy(logits[:, rows[0]][:, :, columns[0]])
    return torch.from_numpy(rows[1]) @ corner @ torch.from_numpy(columns[1]).T


def _parts(pixels: int, most: int) -> list[slice]:
    return [slice(start, min(start + most, pixels)) for start in range(0, pixels, most)]
