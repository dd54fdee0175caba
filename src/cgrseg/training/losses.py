"""The loss.

Axes: b batch, k classes, h w logit rows and columns, H W picture rows and columns.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.nn import functional as F

from cgrseg.arrays import IGNORE


def segmentation_loss(
    logits: Float[Tensor, "b k h w"], labels: UInt8[Tensor, "b H W"], class_weights: Float[Tensor, " k"] | None
) -> Float[Tensor, ""]:
    """Cross-entropy of the upsampled logits, over labelled pixels; 0 where a batch has none.

    The logits' grid spans 8 x 8 pixels a cell, so it may reach past the labels; what does is cut off.
    """
    rows, columns = labels.shape[-2:]
    spanned = (8 * logits.shape[-2], 8 * logits.shape[-1])
    full = F.interpolate(logits.float(), size=spanned, mode="bilinear", align_corners=False)[..., :rows, :columns]
    if not (labels != IGNORE).any():
        return full.sum() * 0
    return F.cross_entropy(full, labels.long(), weight=class_weights, ignore_index=IGNORE)


def log_weights(shares: Float64[np.ndarray, " k"]) -> Float[Tensor, " k"]:
    """Weights 1 / ln(1.1 + share), scaled to a mean of 1: rare classes count more, absent ones not endlessly."""
    weights = 1 / np.log(1.1 + shares)
    return torch.from_numpy(weights / weights.mean()).float()
