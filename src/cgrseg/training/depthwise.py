"""Faster gradients of 5x5 depthwise kernels on a CPU in bf16.

PyTorch has a fast gradient for 3x3 depthwise kernels only; that of a 5x5 kernel takes five times as long as its forward
and backward pass together. A 5x5 kernel fits into four 3x3 kernels side by side (6x6, the last row and column unused),
and so does its gradient:

    gradient of the 5x5 kernel = gradients of four 3x3 kernels, over the input shifted by 0 or 3 rows and columns

The result is the same up to rounding. Axes: b batch, c channels, h w rows and columns, h_ w_ those of the output.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

LARGE, SMALL = 5, 3
"""Sides of the kernels."""
INPUT, KERNEL = 0, 1
"""Indices of the gradients that PyTorch's backward pass returns."""


class _Depthwise(torch.autograd.Function):
    """A 5x5 depthwise convolution without bias."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Float[Tensor, "b c h w"], weight: Float[Tensor, "c 1 5 5"], stride: int, padding: int
    ) -> Float[Tensor, "b c h_ w_"]:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding  # type: ignore[attr-defined]
        return F.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  the decorator hides the names
        ctx: FunctionCtx, *gradients: Float[Tensor, "b c h_ w_"]
    ) -> tuple[Float[Tensor, "b c h w"] | None, Float[Tensor, "c 1 5 5"], None, None]:
        x, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        stride, padding = ctx.stride, ctx.padding  # type: ignore[attr-defined]
        x_gradient = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            x_gradient = _gradient(INPUT, gradients[0], x, weight, stride, padding)
        return x_gradient, kernel_gradient(x, gradients[0], stride, padding), None, None


def kernel_gradient(
    x: Float[Tensor, "b c h w"], gradient: Float[Tensor, "b c h_ w_"], stride: int, padding: int
) -> Float[Tensor, "c 1 5 5"]:
    """Gradient of a 5x5 depthwise kernel, assembled from those of four 3x3 kernels."""
    padded = F.pad(x, (padding, padding + 1, padding, padding + 1))
    rows, columns = ((side - 1) * stride + SMALL for side in gradient.shape[2:])
    kernel = x.new_zeros(x.shape[1], 1, SMALL, SMALL)
    halves = []
    for top in (0, SMALL):
        parts = []
        for left in (0, SMALL):
            part = padded[:, :, top : top + rows, left : left + columns].contiguous()
            parts.append(_gradient(KERNEL, gradient, part, kernel, stride, 0))
        halves.append(torch.cat(parts, 3))
    return torch.cat(halves, 2)[:, :, :LARGE, :LARGE]


def _gradient(output: int, gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """PyTorch's gradient of the input (`INPUT`) or of the kernel (`KERNEL`)."""
    mask = [output == INPUT, output == KERNEL, False]
    return torch.ops.aten.convolution_backward(
        *(gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], len(weight)), mask
    )[output]


class FastDepthwise(nn.Conv2d):
    """A 5x5 depthwise convolution with the fast kernel gradient in bf16; in fp32 it is an ordinary one."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__(
            *(conv.in_channels, conv.out_channels, LARGE, conv.stride[0], int(conv.padding[0])),
            groups=conv.groups,
            bias=False,
            device="meta",
        )
        self.weight = conv.weight

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h_ w_"]:  # noqa: A002  the base's name
        if input.dtype != torch.bfloat16 or not torch.is_grad_enabled() or not self.weight.requires_grad:
            return super().forward(input)
        return _Depthwise.apply(input, self.weight.to(input.dtype), self.stride[0], int(self.padding[0]))


def replace_depthwise(module: nn.Module) -> None:
    """Replace the 5x5 depthwise convolutions of a module in place; weights and their names are kept."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and _is_large_depthwise(child):
            module.add_module(name, FastDepthwise(child))
        else:
            replace_depthwise(child)


def _is_large_depthwise(conv: nn.Conv2d) -> bool:
    is_depthwise = conv.groups == conv.in_channels == conv.out_channels
    return is_depthwise and conv.kernel_size == (LARGE, LARGE) and conv.bias is None
