"""The small parts that every box is made of.

Axes: b batch, c channels, h rows, w columns.
"""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    Length = int
else:
    Length = int | torch.SymInt  # a symbol while a program for any size is exported; PyTorch's own stubs say int
"""A number of rows or columns."""


class ConvNorm(nn.Module):
    """A convolution that keeps (or divides by `stride`) the size, and its BatchNorm.

    `padding` is for who pads otherwise than by half the kernel on each side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h_ w_"]:
        return self.norm(self.conv(x))


class Scale(nn.Module):
    """One learnt factor per channel (LayerScale)."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x * self.factor


class DropPath(nn.Module):
    """In training, drops an image's whole branch with probability `rate` and scales the others up to match."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if self.rate == 0 or not self.training:
            return x
        kept = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of a 1 x 1 feature map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c 1 1"]) -> Float[Tensor, "b c 1 1"]:
        return F.layer_norm(x.flatten(1), self.weight.shape, self.weight, self.bias)[..., None, None]


class FrozenBatchNorm(nn.Module):
    """A BatchNorm that uses its stored statistics in training too; weight and bias still learn."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(x, mean, variance, self.weight, self.bias, training=False, eps=self.eps)


def freeze_batch_norm(module: nn.Module) -> None:
    """Replace every BatchNorm below `module` by a frozen one with the same weights and names."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            module.add_module(name, FrozenBatchNorm(child))
        else:
            freeze_batch_norm(child)


def freeze(module: nn.Module) -> None:
    """Keep all weights below `module`, and the statistics of its BatchNorms, as they are."""
    freeze_batch_norm(module)
    module.requires_grad_(requires_grad=False)


def upsample(x: Float[Tensor, "b c h w"], like: Float[Tensor, "b d H W"]) -> Float[Tensor, "b c H W"]:
    """Bilinear resize to the rows and columns of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
