"""The label map by plain PyTorch, a few rows at a time: for CUDA, and for machines without numba.

Axes: k classes, h w grid rows and columns, r rows of a block, H W image rows and columns.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Float32, Shaped
from torch import Tensor

from cgrseg.labelmap.grid import Axis

BLOCK = 1 << 24
"""Upsampled logits held at a time: 64 MiB of them."""


def label_blocks(logits: Float[Tensor, "k h w"], rows: Axis, columns: Axis) -> Shaped[Tensor, "H W"]:
    """The class that wins each pixel, as 64-bit numbers."""
    return torch.cat([block.argmax(dim=0) for block in _blocks(logits, rows, columns)])


def confidence_blocks(logits: Float[Tensor, "k h w"], rows: Axis, columns: Axis) -> Float32[Tensor, "H W"]:
    """The softmax probability of the class that wins each pixel."""
    level = logits.float() - logits.float().amax(dim=0)  # small numbers, so that rounding does not reach the confidence
    return torch.cat([_confidence(block) for block in _blocks(level, rows, columns)])


def _confidence(logits: Float32[Tensor, "k r W"]) -> Float32[Tensor, "r W"]:
    return (logits - logits.amax(dim=0)).exp_().sum(dim=0).reciprocal()


def _blocks(logits: Float[Tensor, "k h w"], rows: Axis, columns: Axis) -> Iterator[Float32[Tensor, "k r W"]]:
    """The upsampled logits, block after block of rows."""
    classes, height, width = logits.shape
    logits = logits.float()
    row, down = torch.from_numpy(rows.cell).to(logits.device), torch.from_numpy(rows.share).to(logits.device)
    column, along = torch.from_numpy(columns.cell).to(logits.device), torch.from_numpy(columns.share).to(logits.device)
    step = max(1, BLOCK // (classes * len(column)))
    for start in range(0, len(row), step):
        above, share = row[start : start + step], down[start : start + step, None]
        line = logits[:, above] * (1 - share) + logits[:, (above + 1).clamp(max=height - 1)] * share
        yield line[:, :, column] * (1 - along) + line[:, :, (column + 1).clamp(max=width - 1)] * along
