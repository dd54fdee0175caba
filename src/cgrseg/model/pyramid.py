"""Pyramid context extraction (Fig. 2 of the paper).

    1/8  --+
    1/16 --+-- pool to 1/64 -- concatenate -- RCM x n -- split by level
    1/32 --+

Axes: b batch, c channels, h rows, w columns, i inputs and o outputs of a pooling along one axis.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.model.layers import Length


class PyramidContext(nn.Module):
    """One small map with the context of all levels, handed back level by level."""

    def __init__(self, widths: tuple[int, ...], rcms: list[nn.Module]) -> None:
        super().__init__()
        self.widths = widths
        self.rcms = nn.Sequential(*rcms)

    def forward(self, features: list[Float[Tensor, "b _ _ _"]]) -> tuple[Float[Tensor, "b _ h w"], ...]:
        rows, columns = features[-1].shape[-2:]
        pooled = torch.cat([pool(level, (rows + 1) // 2, (columns + 1) // 2) for level in features], 1)
        return self.rcms(pooled).split(self.widths, 1)


def pool(x: Float[Tensor, "b c h w"], rows: Length, columns: Length) -> Float[Tensor, "b c h_ w_"]:
    """`adaptive_avg_pool2d`, as two products: exporters get the operator itself wrong where sizes do not divide."""
    return windows(x.shape[2], rows, like=x) @ (x @ windows(x.shape[3], columns, like=x).T)


def windows(inputs: Length, outputs: Length, like: Tensor) -> Float[Tensor, "o i"]:
    """The weight of each input in the mean of each output's window; windows overlap where sizes do not divide."""
    output = torch.arange(outputs, device=like.device)[:, None]
    start, stop = output * inputs // outputs, ((output + 1) * inputs + outputs - 1) // outputs
    position = torch.arange(inputs, device=like.device)
    return ((start <= position) & (position < stop)).to(like.dtype) / (stop - start)
