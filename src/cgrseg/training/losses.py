"""The Lovász-softmax loss: a surrogate of 1 - IoU that has a gradient (Berman, Triki and Blaschko, CVPR 2018).

    probabilities, labels -- error of each pixel, class by class -- sorted, largest first
                  what each pixel adds to 1 - IoU if the errors come in this order -- times the error -- sum

For probabilities of 0 and 1 it is 1 - IoU itself, so a class of few pixels counts as much as the road does.

Axes: k classes, c those present, n labelled pixels, h w rows and columns.

The loss: cross-entropy at every labelled pixel, and Lovász-softmax beside it, without keeping full-size maps.

    logits (b, k, h, w) -- image by image: upsample -- softmax -- loss, gradient -- back to (k, h, w)

One image's full-size logits exist at a time, and its gradient is worked out while they are at hand.

Where a pixel may be any of a set of classes, its loss is -log of the sum of their probabilities.

Axes: b batch, k classes, h w logit rows and columns, H W image rows and columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from cgrseg.types import IGNORE


def lovasz_softmax(
    shares: Float[Tensor, "k h w"], labels: UInt8[Tensor, "h w"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "k h w"]]:
    """The loss of one image, 0..1, and its gradient in the logits whose softmax the shares are.

    It is the mean over the classes that the labels have; an image without labels gives 0.
    """
    known = labels != IGNORE
    gradient = torch.zeros_like(shares)
    if not known.any():
        return shares.new_zeros(()), gradient
    probabilities, truth = shares[:, known], labels[known].long()
    present = truth.unique()
    is_class = truth == present[:, None]
    errors = torch.where(is_class, 1 - probabilities[present], probabilities[present])
    errors, order = errors.sort(dim=1, descending=True)
    steps = _jaccard_steps(is_class.gather(1, order)) / len(present)
    slopes = torch.zeros_like(steps).scatter_(1, order, steps)
    wanted = torch.zeros_like(probabilities)
    wanted[present] = torch.where(is_class, -slopes, slopes)
    gradient[:, known] = probabilities * (wanted - (wanted * probabilities).sum(0))
    return (errors * steps).sum(), gradient


def _jaccard_steps(is_class: Bool[Tensor, "c n"]) -> Float[Tensor, "c n"]:
    """What each pixel adds to 1 - IoU, if it becomes wrong after all before it."""
    missed = is_class.cumsum(1)
    total = missed[:, -1:]
    count = torch.arange(1, is_class.shape[1] + 1, device=is_class.device)
    lost = 1 - (total - missed).float() / (total + count - missed)
    return lost.diff(dim=1, prepend=torch.zeros_like(lost[:, :1]))


LOVASZ_STEP = 2
"""Lovász-softmax looks at every second row and column: sorting all pixels would cost a fifth of a step on a CPU."""

LEAST_SHARE = 1e-36
"""A set of classes is taken to be at least so likely, compared with the likeliest class; keeps gradients finite."""

Sets = tuple[tuple[int, ...], ...]
"""The label k + i stands for any of the classes `sets[i]`."""

WEIGHT_POWERS = {"log": 1.0, "soft": 0.5}
"""The powers of a class's weight 1 / ln(1.1 + share), by the recipe's name for them."""


def segmentation_loss(
    logits: Float[Tensor, "b k h w"],
    labels: UInt8[Tensor, "b H W"],
    weights: Float[Tensor, " 256"],
    total: Float[Tensor, ""] | None = None,
    *,
    sets: Sets = (),
    lovasz: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of the upsampled logits: the mean over labelled pixels by class weight, 0 where there are none.

    The logits' grid spans 8 x 8 pixels a cell, so it may reach past the labels; what does is cut off.

    Args:
        logits: of the network.
        labels: 0..k-1, from k on for sets of classes, and 255 where there is no label.
        weights: what `label_weights` gives.
        total: what the sum over these images is divided by, where they are a part of a batch: the `weight_of` all.
        sets: what the labels from k on stand for.
        lovasz: factor of the Lovász-softmax loss that is added: the mean over images, by the `weight_of` each. It
            leaves sets of classes out.
    """
    total = weight_of(labels, weights) if total is None else total
    loss = _PixelLoss.apply(logits.float(), labels, weights, sets, lovasz)
    return loss / total.clamp(min=torch.finfo(total.dtype).tiny)


def label_weights(
    classes: int, class_weights: Float[Tensor, " k"] | None = None, sets: Sets = ()
) -> Float[Tensor, " 256"]:
    """The weight in the loss of each label: that of its class, 1 where there are none, and 0 for no label.

    A set of classes has the least weight of its classes: as a rule it hides a common one.
    """
    weights = torch.zeros(IGNORE + 1)
    weights[:classes] = 1.0 if class_weights is None else class_weights
    for label, members in enumerate(sets, classes):
        weights[label] = weights[list(members)].min()
    return weights


def weight_of(labels: UInt8[Tensor, "*axes"], weights: Float[Tensor, " 256"]) -> Float[Tensor, ""]:
    """The sum of the weights of all pixels."""
    counts = torch.bincount(labels.flatten(), minlength=len(weights))
    return (counts * weights.double()).sum().float()


class _PixelLoss(torch.autograd.Function):
    """The sum of the cross-entropies, whose gradient is computed beside it, one image at a time."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        logits: Float[Tensor, "b k h w"],
        labels: UInt8[Tensor, "b H W"],
        weights: Float[Tensor, " 256"],
        sets: Sets,
        lovasz: float,
    ) -> Float[Tensor, ""]:
        images = zip(logits, labels, strict=True)
        parts = [_image_loss(image, truth, weights, sets, lovasz) for image, truth in images]
        losses, gradients = (torch.stack(each) for each in zip(*parts, strict=True))
        ctx.save_for_backward(gradients)
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  the decorator hides the names
        ctx: FunctionCtx, *gradients: Float[Tensor, ""]
    ) -> tuple[Float[Tensor, "b k h w"], None, None, None, None]:
        return ctx.saved_tensors[0] * gradients[0], None, None, None, None  # type: ignore[attr-defined]


def _image_loss(
    logits: Float[Tensor, "k h w"],
    labels: UInt8[Tensor, "H W"],
    weights: Float[Tensor, " 256"],
    sets: Sets,
    lovasz: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, "k h w"]]:
    """One image's weighted loss and its gradient."""
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
    regions = _regions(shares, labels, sets)
    own, plain = weight, labels
    for region in regions:
        right = torch.where(region.pixels, region.share.log(), right)
    if regions:
        is_plain = labels < len(logits)
        own, plain = weight * is_plain, labels.masked_fill(~is_plain, IGNORE)
    loss = ((total.log() - right) * weight).sum()
    sampled = (..., slice(None, None, LOVASZ_STEP), slice(None, None, LOVASZ_STEP))
    factor = lovasz * weight.sum()
    surrogate, slopes = lovasz_softmax(shares[sampled] / total[sampled], plain[sampled]) if lovasz else (0.0, 0.0)
    for region in regions:
        region.pull(shares, total)
    shares.mul_(weight / total).scatter_add_(0, place, -own[None])
    shares[sampled] += factor * slopes
    return loss + factor * surrogate, torch.autograd.grad(full, grid, shares)[0]


@dataclass(frozen=True, eq=False)
class _Region:
    """Pixels of an image that may be any of the same classes."""

    classes: tuple[int, ...]
    pixels: Bool[Tensor, "H W"]
    share: Float[Tensor, "H W"]
    """Of the classes together, compared with the likeliest class; at every pixel, which is faster than at some."""

    def pull(self, shares: Float[Tensor, "k H W"], total: Float[Tensor, "H W"]) -> None:
        """Scale the shares s of the classes so that s / total becomes their gradient, s / total - s / share."""
        scale = torch.where(self.pixels, 1 - total / self.share, 1.0)
        for label in self.classes:
            shares[label] *= scale


def _regions(shares: Float[Tensor, "k H W"], labels: UInt8[Tensor, "H W"], sets: Sets) -> list[_Region]:
    """The sets of classes that are in an image."""
    if not sets:
        return []
    counts = torch.bincount(labels.flatten(), minlength=IGNORE + 1).tolist()
    regions = []
    for label, classes in enumerate(sets, len(shares)):
        if counts[label]:
            share = shares[classes[0]].clone()
            for other in classes[1:]:
                share += shares[other]
            regions.append(_Region(classes, labels == label, share.clamp_(min=LEAST_SHARE)))
    return regions


def log_weights(shares: Float64[np.ndarray, " k"], power: float = 1.0) -> Float[Tensor, " k"]:
    """Weights 1 / ln(1.1 + share)^power, scaled to a mean of 1: rare classes count more, absent ones not endlessly."""
    weights = np.log(1.1 + shares) ** -power
    return torch.from_numpy(weights / weights.mean()).float()
