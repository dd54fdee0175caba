"""Pyramid context extraction (Fig. 2 of the paper).

    1/8  --+
    1/16 --+-- pool to 1/64 -- concatenate -- RCM x n -- split by level
    1/32 --+

Axes: b batch, c channels, h rows, w columns.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class PyramidContext(nn.Module):
    """One small map with the context of all levels, handed back level by level."""

    def __init__(self, widths: tuple[int, ...], rcms: list[nn.Module]) -> None:
        super().__init__()
        self.widths = widths
        self.rcms = nn.Sequential(*rcms)

    def forward(self, features: list[Float[Tensor, "b _ _ _"]]) -> tuple[Float[Tensor, "b _ h w"], ...]:
        rows, columns = features[-1].shape[-2:]
        size = ((rows + 1) // 2, (columns + 1) // 2)
        pooled = torch.cat([F.adaptive_avg_pool2d(level, size) for level in features], 1)
        return self.rcms(pooled).split(self.widths, 1)
