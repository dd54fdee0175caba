"""Logits -> label map, for either kind of array and any size.

    logits (k, h, w) -- place on the picture --+-- numba (kernels): NumPy arrays, CPU tensors
                                               +-- PyTorch (blocks): CUDA tensors, machines without numba

Axes: b batch, k classes, h w grid rows and columns, H W picture rows and columns.
"""

import importlib.util
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
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


Logits = Float[np.ndarray, "*b k h w"] | Float[Tensor, "*b k h w"]
Labels = Shaped[np.ndarray, "*b H W"] | Shaped[Tensor, "*b H W"]
Confidences = Float32[np.ndarray, "*b H W"] | Float32[Tensor, "*b H W"]
ArrayMaps = tuple[Shaped[np.ndarray, "*b H W"], Float32[np.ndarray, "*b _H _W"]]
TensorMaps = tuple[Shaped[Tensor, "*b H W"], Float32[Tensor, "*b _H _W"]]


@overload
def label_map(
    logits: Float[np.ndarray, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Shaped[np.ndarray, "*b H W"]: ...
@overload
def label_map(
    logits: Float[Tensor, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Shaped[Tensor, "*b H W"]: ...
def label_map(logits: Logits, size: Size, extent: Size | None = None, *, threads: int = 1) -> Labels:
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
    logits: Logits, size: Size, extent: Size | None = None, *, threads: int = 1
) -> tuple[Labels, Confidences]:
    """`label_map`, and the softmax probability of each pixel's winner among all classes of the upsampled logits."""
    return _map(logits, size, extent, threads, with_confidence=True)


def _map(
    logits: Logits, size: Size, extent: Size | None, threads: int, with_confidence: bool
) -> ArrayMaps | TensorMaps:
    """Labels and confidence of the kind that the logits are; the confidence is empty unless asked for."""
    *batch, classes, height, width = logits.shape
    assert len(batch) <= 1, f"logits are {tuple(logits.shape)}"
    assert 1 <= classes <= MOST_CLASSES, f"{classes} classes"
    assert min(height, width, *size) >= 1, f"logits are {tuple(logits.shape)}, the label map {size}"
    rows, columns = (place(*axis) for axis in zip((height, width), size, extent or (None, None), strict=True))
    pictures = logits.reshape(-1, classes, height, width)
    on_cpu = isinstance(logits, np.ndarray) or logits.device.type == "cpu"
    if on_cpu and _has_numba():
        maps = _by_kernel(_as_array(pictures), rows, columns, threads, with_confidence)
    else:
        maps = _by_blocks(_as_tensor(pictures), rows, columns, with_confidence)
    convert = _as_array if isinstance(logits, np.ndarray) else _as_tensor
    labels, confidence = (convert(each).reshape(*batch, *each.shape[1:]) for each in maps)
    return labels, confidence  # type: ignore[return-value]  # one kind of array holds for both


def _as_array(values: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(values, np.ndarray):
        return values
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()


def _as_tensor(values: np.ndarray | Tensor) -> Tensor:
    if isinstance(values, Tensor):
        return values.detach()
    return torch.from_numpy(np.require(values, requirements=["W"]))  # a writable copy of what is not


def _by_blocks(logits: Float[Tensor, "b k h w"], rows: Axis, columns: Axis, with_confidence: bool) -> TensorMaps:
    dtype = torch.uint8 if logits.shape[1] <= IGNORE else torch.uint16
    if not with_confidence:
        labels = torch.stack([blocks.label_blocks(picture, rows, columns) for picture in logits])
        return labels.to(dtype), torch.empty(len(logits), 0, 0)
    maps = [blocks.label_blocks_with_confidence(picture, rows, columns) for picture in logits]
    labels, confidence = (torch.stack(each) for each in zip(*maps, strict=True))
    return labels.to(dtype), confidence


def _by_kernel(
    logits: Float[np.ndarray, "b k h w"], rows: Axis, columns: Axis, threads: int, with_confidence: bool
) -> ArrayMaps:
    label_rows, weigh_rows = _kernels()
    logits = np.require(logits, np.float32, ["C", "W"])  # one layout, so one compilation
    level = logits - logits.max(axis=1, keepdims=True) if with_confidence else logits  # small numbers round less
    count, classes, _, width = logits.shape
    firsts = columns.firsts(width)
    labels = np.empty((count, len(rows.cell), len(columns.cell)), np.uint8 if classes <= IGNORE else np.uint16)
    confidence = np.empty(labels.shape if with_confidence else (count, 0, 0), np.float32)

    def work(picture: int, band: slice) -> None:
        places = rows.cell[band], rows.share[band], firsts, columns.share
        label_rows(logits[picture], *places, labels[picture, band])
        if with_confidence:
            weigh_rows(level[picture], *places, labels[picture, band], confidence[picture, band])

    edges = [len(rows.cell) * part // threads for part in range(threads + 1)]
    jobs = [(picture, slice(*band)) for picture in range(count) for band in pairwise(edges)]
    list((map if threads == 1 else _pool(threads).map)(lambda job: work(*job), jobs))
    return labels, confidence


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="labeling")


@cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


@cache
def _kernels() -> tuple[Callable[..., None], Callable[..., None]]:
    """The compiled functions; says so where this machine has none yet."""
    from cgrseg.labeling.compiling import is_kept
    from cgrseg.labeling.kernels import label_rows
    from cgrseg.labeling.softmax import weigh_rows

    if not is_kept(label_rows):
        logger.info("compiling the label map kernels; it takes some seconds, once on this machine")
    return label_rows, weigh_rows
