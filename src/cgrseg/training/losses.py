"""The loss: cross-entropy at every labelled pixel, and Lovász-softmax beside it, without keeping full-size maps.

    logits (b, k, h, w) -- picture by picture: upsample -- softmax -- loss, gradient -- back to (k, h, w)

One picture's full-size logits exist at a time, and its gradient is worked out while they are at hand.

Axes: b batch, k classes, h w logit rows and columns, H W picture rows and columns.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from cgrseg.arrays import IGNORE
from cgrseg.training.lovasz import lovasz_softmax

LOVASZ_STEP = 2
"""Lovász-softmax looks at every second row and column: sorting all pixels would cost a fifth of a step on a CPU."""

WEIGHT_POWERS = {"log": 1.0, "soft": 0.5}
"""The powers of a class's weight 1 / ln(1.1 + share), by the recipe's name for them."""


def segmentation_loss(
    logits: Float[Tensor, "b k h w"],
    labels: UInt8[Tensor, "b H W"],
    weights: Float[Tensor, " 256"],
    total: Float[Tensor, ""] | None = None,
    *,
    lovasz: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of the upsampled logits: the mean over labelled pixels by class weight, 0 where there are none.

    The logits' grid spans 8 x 8 pixels a cell, so it may reach past the labels; what does is cut off.

    Args:
        logits: of the network.
        labels: 0..k-1, and 255 where there is no label.
        weights: what `label_weights` gives.
        total: what the sum over these pictures is divided by, where they are a part of a batch: the `weight_of` all.
        lovasz: factor of the Lovász-softmax loss that is added: the mean over pictures, by the `weight_of` each.
    """
    total = weight_of(labels, weights) if total is None else total
    return _PixelLoss.apply(logits.float(), labels, weights, lovasz) / total.clamp(min=torch.finfo(total.dtype).tiny)


def label_weights(classes: int, class_weights: Float[Tensor, " k"] | None = None) -> Float[Tensor, " 256"]:
    """The weight in the loss of each label: that of its class, 1 where there are none, and 0 for no label."""
    weights = torch.zeros(IGNORE + 1)
    weights[:classes] = 1.0 if class_weights is None else class_weights
    return weights


def weight_of(labels: UInt8[Tensor, "*axes"], weights: Float[Tensor, " 256"]) -> Float[Tensor, ""]:
    """The sum of the weights of all pixels."""
    counts = torch.bincount(labels.flatten(), minlength=len(weights))
    return (counts * weights.double()).sum().float()


class _PixelLoss(torch.autograd.Function):
    """The sum of the cross-entropies, whose gradient is computed beside it, one picture at a time."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        logits: Float[Tensor, "b k h w"],
        labels: UInt8[Tensor, "b H W"],
        weights: Float[Tensor, " 256"],
        lovasz: float,
    ) -> Float[Tensor, ""]:
        parts = [_picture_loss(picture, truth, weights, lovasz) for picture, truth in zip(logits, labels, strict=True)]
        losses, gradients = (torch.stack(each) for each in zip(*parts, strict=True))
        ctx.save_for_backward(gradients)
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  the decorator hides the names
        ctx: FunctionCtx, *gradients: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, "b k h w"], None, None, None]:
        return ctx.saved_tensors[0] * gradients[0], None, None, None  # type: ignore[attr-defined]


def _picture_loss(
    logits: Float[Tensor, "k h w"], labels: UInt8[Tensor, "H W"], weights: Float[Tensor, " 256"], lovasz: float
) -> tuple[Float[Tensor, ""], Float[Tensor, "k h w"]]:
    """One picture's weighted loss and its gradient."""
    rows, columns = labels.shape
    grid = logits.detach().contiguous().requires_grad_()
    with torch.enable_grad():
        full = F.interpolate(grid[None], scale_factor=8, mode="bilinear", align_corners=False)[0, :, :rows, :columns]
    weight = weights[labels.long()]
    place = labels.long().clamp(max=len(logits) - 1)[None]
    scores = full.detach() - full.detach().amax(0)
    right = scores.gather(0, place)[0]
    shares = scores.exp_()
    total = shares.sum(0)
    loss = ((total.log() - right) * weight).sum()
    sampled = (..., slice(None, None, LOVASZ_STEP), slice(None, None, LOVASZ_STEP))
    factor = lovasz * weight.sum()
    surrogate, slopes = lovasz_softmax(shares[sampled] / total[sampled], labels[sampled]) if lovasz else (0.0, 0.0)
    shares.mul_(weight / total).scatter_add_(0, place, -weight[None])
    shares[sampled] += factor * slopes
    return loss + factor * surrogate, torch.autograd.grad(full, grid, shares)[0]


def log_weights(shares: Float64[np.ndarray, " k"], power: float = 1.0) -> Float[Tensor, " k"]:
    """Weights 1 / ln(1.1 + share)^power, scaled to a mean of 1: rare classes count more, absent ones not endlessly."""
    weights = np.log(1.1 + shares) ** -power
    return torch.from_numpy(weights / weights.mean()).float()
