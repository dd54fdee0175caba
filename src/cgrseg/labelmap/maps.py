"""Logits -> label map and confidence, for either kind of array and any size.

    logits (k, h, w) -- place on the image --+-- numba (kernels, softmax): NumPy arrays, CPU tensors
                                               +-- PyTorch (blocks): CUDA tensors, machines without numba

Axes: b batch, k classes, h w grid rows and columns, r rows of a band, H W image rows and columns.
"""

import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import overload

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped
from torch import Tensor

from cgrseg.labelmap import blocks
from cgrseg.labelmap.grid import place, place_evenly
from cgrseg.labelmap.warmup import announce
from cgrseg.types import IGNORE, Size

MOST_CLASSES = 512
"""Classes the kernels are made and tested for."""

Logits = Float[np.ndarray, "*b k h w"] | Float[Tensor, "*b k h w"]
Maps = Shaped[np.ndarray, "*b H W"] | Shaped[Tensor, "*b H W"]
Kernel = Callable[[np.ndarray, slice, np.ndarray], None]
"""Fills some rows of a map from the logits of an image."""


@overload
def label_map(
    logits: Float[np.ndarray, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Shaped[np.ndarray, "*b H W"]: ...
@overload
def label_map(
    logits: Float[Tensor, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Shaped[Tensor, "*b H W"]: ...
def label_map(logits: Logits, size: Size, extent: Size | None = None, *, threads: int = 1) -> Maps:
    """The class that wins each pixel of the bilinear upsampling of logits, the lowest of equals.

    Interpolation is in 32-bit floats at the places of `torch.nn.functional.interpolate(align_corners=False)`.

    Args:
        logits: with or without a batch axis.
        size: of the label map; may be smaller than the grid.
        extent: pixels of the network's input that are the image, where its grid has one point for every 8 x 8 of
            them and may reach beyond; none where the grid spans exactly the image.
        threads: that share the rows, on a CPU.

    Returns:
        The same kind of array: uint8, or uint16 above 255 classes.
    """
    rows, columns = (place(*axis) for axis in _axes(logits, size, extent))
    few = logits.shape[-3] <= IGNORE
    if not _takes_kernel(logits):
        dtype = torch.uint8 if few else torch.uint16
        return _by_blocks(logits, lambda image: blocks.label_blocks(image, rows, columns).to(dtype))
    firsts, label_rows = columns.firsts(logits.shape[-1]), _label_kernel()

    def label(image: np.ndarray, band: slice, labels: np.ndarray) -> None:
        label_rows(image, rows.cell[band], rows.share[band], firsts, columns.share, labels)

    labels = np.empty((*logits.shape[:-3], *size), np.uint8 if few else np.uint16)
    return _by_kernel(logits, label, labels, rows.bands(threads))


@overload
def confidence_map(
    logits: Float[np.ndarray, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Float32[np.ndarray, "*b H W"]: ...
@overload
def confidence_map(
    logits: Float[Tensor, "*b k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Float32[Tensor, "*b H W"]: ...
def confidence_map(logits: Logits, size: Size, extent: Size | None = None, *, threads: int = 1) -> Maps:
    """The softmax probability of the class that wins each pixel of the bilinear upsampling of logits, within 1e-5.

    Arguments and the kind of array are those of `label_map`.
    """
    rows, columns = (place_evenly(*axis) for axis in _axes(logits, size, extent))
    if not _takes_kernel(logits):
        rows, columns = (place(*axis) for axis in _axes(logits, size, extent))
        return _by_blocks(logits, lambda image: blocks.confidence_blocks(image, rows, columns))
    firsts, weigh_rows = columns.firsts(logits.shape[-1] + 1), _confidence_kernel()
    pitch = np.array([rows.pitch, columns.pitch], np.float32)

    def weigh(image: np.ndarray, band: slice, confidence: np.ndarray) -> None:
        places = image, rows.cell[band], rows.share[band], firsts, columns.share
        if weigh_rows(*places, pitch, confidence):
            _steep_kernel()(*places, confidence)

    return _by_kernel(logits, weigh, np.empty((*logits.shape[:-3], *size), np.float32), rows.bands(threads))


def _axes(logits: Logits, size: Size, extent: Size | None) -> list[tuple[int, int, int | None]]:
    """Grid points, pixels and extent of the rows and of the columns."""
    *batch, classes, height, width = logits.shape
    assert len(batch) <= 1, f"logits are {tuple(logits.shape)}"
    assert 1 <= classes <= MOST_CLASSES, f"{classes} classes"
    assert min(height, width, *size) >= 1, f"logits are {tuple(logits.shape)}, the map {size}"
    return list(zip((height, width), size, extent or (None, None), strict=True))


def _takes_kernel(logits: Logits) -> bool:
    return _has_numba() and (isinstance(logits, np.ndarray) or logits.device.type == "cpu")


@cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def _by_blocks(logits: Logits, convert: Callable[[Tensor], Tensor]) -> Maps:
    """The maps of all images by PyTorch."""
    if isinstance(logits, np.ndarray):
        tensor = torch.from_numpy(np.require(logits, requirements=["W"]))  # a writable copy of what is not
    else:
        tensor = logits.detach()
    maps = torch.stack([convert(image) for image in tensor]) if tensor.ndim == 4 else convert(tensor)
    return maps.numpy() if isinstance(logits, np.ndarray) else maps


def _by_kernel(logits: Logits, kernel: Kernel, maps: np.ndarray, bands: list[slice]) -> Maps:
    """Fill the maps of all images, each band of rows in a thread."""
    array = logits.detach().float().numpy() if isinstance(logits, Tensor) else logits
    array = np.require(array, np.float32, ["C", "W"])  # one layout, so one compilation
    images = zip(array, maps, strict=True) if array.ndim == 4 else [(array, maps)]
    jobs = [(image, band, whole[band]) for image, whole in images for band in bands]
    if len(bands) == 1:
        for job in jobs:
            kernel(*job)
    else:
        with ThreadPoolExecutor(len(bands), thread_name_prefix="labeling") as pool:
            list(pool.map(lambda job: kernel(*job), jobs))
    return torch.from_numpy(maps) if isinstance(logits, Tensor) else maps


@cache
def _label_kernel() -> Callable[..., None]:
    from cgrseg.labelmap.argmax import label_rows

    announce(label_rows, "label map")
    return label_rows


@cache
def _confidence_kernel() -> Callable[..., int]:
    from cgrseg.labelmap.softmax import weigh_rows

    announce(weigh_rows, "confidence")
    return weigh_rows


@cache
def _steep_kernel() -> Callable[..., None]:
    from cgrseg.labelmap.softmax import weigh_steep_rows

    announce(weigh_steep_rows, "steep confidence")
    return weigh_steep_rows
