"""Logits -> label map, for either kind of array and any size.

    logits (k, h, w) -- place on the picture --+-- numba (kernels): NumPy arrays, CPU tensors
                                               +-- PyTorch (blocks): CUDA tensors, machines without numba

Axes: b batch, k classes, h w grid rows and columns, H W picture rows and columns.
"""

import importlib.util
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import overload

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped
from torch import Tensor

from cgrseg.arrays import IGNORE, Size
from cgrseg.labeling import blocks
from cgrseg.labeling.axis import Axis, place

logger = logging.getLogger(__name__)

MOST_CLASSES = 512
"""Classes the kernels are made and tested for."""


@overload
def label_map(
    logits: Float[np.ndarray, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Shaped[np.ndarray, "*b H W"]: ...
@overload
def label_map(
    logits: Float[Tensor, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Shaped[Tensor, "*b H W"]: ...
def label_map(
    logits: Float[np.ndarray, "*b k h w"] | Float[Tensor, "*b k h w"],
    size: Size,
    extent: Size | None = None,
    *,
    threads: int = 1,
) -> Shaped[np.ndarray, "*b H W"] | Shaped[Tensor, "*b H W"]:
    """The class that wins each pixel of the bilinear upsampling of logits, the lowest of equals.

    Interpolation is in 32-bit floats at the places of `torch.nn.functional.interpolate(align_corners=False)`.

    Args:
        logits: with or without a batch axis.
        size: of the label map; may be smaller than the grid.
        extent: pixels of the network's input that are the picture, where its grid has one point for every 8 x 8 of
            them and may reach beyond; none where the grid spans exactly the picture.
        threads: that share the rows, on a CPU.

    Returns:
        The same kind of array: uint8, or uint16 above 255 classes.
    """
    return _map(logits, size, extent, threads, with_confidence=False)[0]


@overload
def label_map_with_confidence(
    logits: Float[np.ndarray, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> tuple[Shaped[np.ndarray, "*b H W"], Float32[np.ndarray, "*b H W"]]: ...
@overload
def label_map_with_confidence(
    logits: Float[Tensor, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> tuple[Shaped[Tensor, "*b H W"], Float32[Tensor, "*b H W"]]: ...
def label_map_with_confidence(
    logits: Float[np.ndarray, "*b k h w"] | Float[Tensor, "*b k h w"],
    size: Size,
    extent: Size | None = None,
    *,
    threads: int = 1,
) -> tuple[
    Shaped[np.ndarray, "*b H W"] | Shaped[Tensor, "*b H W"], Float32[np.ndarray, "*b H W"] | Float32[Tensor, "*b H W"]
]:
    """`label_map`, and the softmax probability of each pixel's winner among all classes of the upsampled logits."""
    return _map(logits, size, extent, threads, with_confidence=True)


def _map(
    logits: Float[np.ndarray, "*b k h w"] | Float[Tensor, "*b k h w"],
    size: Size,
    extent: Size | None,
    threads: int,
    with_confidence: bool,
):
    """Labels and confidence; without, the confidence is empty."""
    *batch, classes, height, width = logits.shape
    assert len(batch) <= 1 and 1 <= classes <= MOST_CLASSES, f"logits are {tuple(logits.shape)}"
    assert min(height, width, *size) >= 1, f"logits are {tuple(logits.shape)}, the label map {size}"
    rows, columns = (place(*axis) for axis in zip((height, width), size, extent or (None, None), strict=True))
    by_kernel = _has_numba() and (isinstance(logits, np.ndarray) or logits.device.type == "cpu")
    if by_kernel:
        maps = _by_kernel(_as_array(logits), rows, columns, threads, with_confidence)
    else:
        maps = _by_blocks(_as_tensor(logits), rows, columns, with_confidence)
    convert = _as_array if isinstance(logits, np.ndarray) else _as_tensor
    labels, confidence = (convert(each).reshape(*batch, *each.shape[1:]) for each in maps)
    return labels, confidence


def _as_array(values: np.ndarray | Tensor) -> np.ndarray:
    return values if isinstance(values, np.ndarray) else values.detach().cpu().float().numpy()
