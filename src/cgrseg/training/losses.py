"""The loss: cross-entropy and Lovász-softmax at the labelled pixels, without keeping full-size logits.

    logits (b, k, h, w) -- image by image: upsample -- softmax -- loss, gradient -- back to (k, h, w)

Only one image's full-size logits exist at a time: its gradient is computed together with its loss. Where a pixel may
be any of a set of classes, its cross-entropy is -log of the sum of their probabilities.

Lovász-softmax is a surrogate of 1 - IoU that has a gradient (Berman, Triki and Blaschko, CVPR 2018):

    probabilities, labels -- error of each pixel, class by class -- sorted, largest first
                          -- the increase of 1 - IoU as each pixel in turn becomes wrong -- times its error -- sum

For probabilities of 0 and 1 it equals 1 - IoU, so a class of few pixels counts as much as the road does.

Axes: b batch, k classes, c classes present, n labelled pixels, h w logit rows and columns, H W image rows and columns.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, UInt8
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from cgrseg.types import IGNORE

LOVASZ_STEP = 2
"""Lovász-softmax takes every second row and column: sorting all pixels would cost a fifth of a step on a CPU."""

LEAST_SHARE = 1e-36
"""Lower bound of a set's probability relative to the likeliest class; keeps gradients finite."""

Sets = tuple[tuple[int, ...], ...]
"""Sets of classes: the label k + i stands for any of the classes `sets[i]`."""

WEIGHT_POWERS = {"log": 1.0, "soft": 0.5}
"""Exponents of the class weight 1 / ln(1.1 + share) by their names in `train.class_weights`."""


def segmentation_loss(
    logits: Float[Tensor, "b k h w"],
    labels: UInt8[Tensor, "b H W"],
    weights: Float[Tensor, " 256"],
    total: Float[Tensor, ""] | None = None,
    *,
    sets: Sets = (),
    lovasz: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy of the upsampled logits, averaged over labelled pixels by weight; 0 if no pixel is labelled.

    Each cell of the logits covers 8 x 8 pixels; whatever reaches beyond the labels is cut off.

    Args:
        logits: of the network.
        labels: 0..k-1; from k on for sets of classes; 255 for no label.
        weights: weight of each label, from `label_weights`.
        total: divisor of the sum, by default the `total_weight` of these labels. If the images are part of a batch,
            pass the `total_weight` of the whole batch.
        sets: the classes that each label from k on stands for.
        lovasz: factor of the Lovász-softmax loss to add: its mean over the images, weighted by their `total_weight`.
            Pixels labelled with a set are left out of it.
    """
    total = total_weight(labels, weights) if total is None else total
    loss = _PixelLoss.apply(logits.float(), labels, weights, sets, lovasz)
    return loss / total.clamp(min=torch.finfo(total.dtype).tiny)


def label_weights(
    classes: int, class_weights: Float[Tensor, " k"] | None = None, sets: Sets = ()
) -> Float[Tensor, " 256"]:
    """The weight of each label in the loss: that of its class (1 by default), and 0 for no label.

    A set of classes gets the smallest weight among them, since it usually stands for a common class.
    """
    weights = torch.zeros(IGNORE + 1)
    weights[:classes] = 1.0 if class_weights is None else class_weights
    for label, members in enumerate(sets, classes):
        weights[label] = weights[list(members)].min()
    return weights


def total_weight(labels: UInt8[Tensor, "*axes"], weights: Float[Tensor, " 256"]) -> Float[Tensor, ""]:
    """The sum of the weights of all pixels."""
    counts = torch.bincount(labels.flatten(), minlength=len(weights))
    return (counts * weights.double()).sum().float()


class _PixelLoss(torch.autograd.Function):
    """The sum of the weighted losses of all images; the forward pass computes the gradient too, image by image."""

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
        losses, gradients = (torch.stack(tensors) for tensors in zip(*parts, strict=True))
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
    """The weighted loss of one image and its gradient in the logits."""
    rows, columns = labels.shape
    grid = logits.detach().contiguous().requires_grad_()
    with torch.enable_grad():
        full = F.interpolate(grid[None], scale_factor=8, mode="bilinear", align_corners=False)[0, :, :rows, :columns]
    weight = weights[labels.long()]
    index = labels.long().clamp(max=len(logits) - 1)[None]
    scores = full.detach() - full.detach().amax(0)
    right = scores.gather(0, index)[0]
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
        region.scale_gradient(shares, total)
    shares.mul_(weight / total).scatter_add_(0, index, -own[None])
    shares[sampled] += factor * slopes
    return loss + factor * surrogate, torch.autograd.grad(full, grid, shares)[0]


@dataclass(frozen=True, eq=False)
class _Region:
    """The pixels of an image that are labelled with one set of classes."""

    classes: tuple[int, ...]
    pixels: Bool[Tensor, "H W"]
    share: Float[Tensor, "H W"]
    """Probability of the set relative to the likeliest class; at every pixel, which is faster than at a selection."""

    def scale_gradient(self, shares: Float[Tensor, "k H W"], total: Float[Tensor, "H W"]) -> None:
        """Scale the shares s of the set's classes so that s / total is their gradient, s / total - s / share."""
        scale = torch.where(self.pixels, 1 - total / self.share, 1.0)
        for label in self.classes:
            shares[label] *= scale


def _regions(shares: Float[Tensor, "k H W"], labels: UInt8[Tensor, "H W"], sets: Sets) -> list[_Region]:
    """The regions of an image whose label is a set of classes."""
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
    """Class weights 1 / ln(1.1 + share)^power, scaled to a mean of 1: rare classes count more, within bounds.

    Args:
        shares: of the labelled pixels, 0..1, class by class.
        power: exponent, from `WEIGHT_POWERS`.
    """
    weights = np.log(1.1 + shares) ** -power
    return torch.from_numpy(weights / weights.mean()).float()


def lovasz_softmax(
    shares: Float[Tensor, "k h w"], labels: UInt8[Tensor, "h w"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "k h w"]]:
    """Lovász-softmax loss of one image, 0..1, and its gradient in the logits.

    The loss is the mean over the classes that occur in the labels; it is 0 for an image without labels.

    Args:
        shares: softmax of the logits.
        labels: 0..k-1, 255 for no label.
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
    """The increase of 1 - IoU as each pixel in turn becomes wrong, class by class."""
    missed = is_class.cumsum(1)
    total = missed[:, -1:]
    count = torch.arange(1, is_class.shape[1] + 1, device=is_class.device)
    lost = 1 - (total - missed).float() / (total + count - missed)
    return lost.diff(dim=1, prepend=torch.zeros_like(lost[:, :1]))
