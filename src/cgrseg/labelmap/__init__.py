"""Logits -> label map and confidence: the exact argmax of the bilinear upsampling, without full-size logits.

    logits (k, h, w) -- position of each pixel on the grid --+-- argmax --> labels       one view
                                                             +-- softmax --> confidence
    several logits ---- weights of each pixel on the grids ---- ensemble --> labels and confidence of the mean

The kernels (`argmax`, `softmax`) are compiled by numba, once per machine. Nothing here imports PyTorch, so `warm_up`
can compile them while that loads.

Axes: k classes, h w grid rows and columns, H W image rows and columns.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Shaped

from cgrseg.labelmap.compiling import announce, warm_up
from cgrseg.labelmap.ensemble import ViewLogits, ensemble_maps
from cgrseg.labelmap.grid import Axis, Blend, Windows, cover, locate, locate_evenly
from cgrseg.types import IGNORE, Confidence, LabelMap, Size

__all__ = [
    "Axis",
    "Blend",
    "ViewLogits",
    "Windows",
    "confidence_map",
    "cover",
    "ensemble_maps",
    "label_map",
    "label_part",
    "locate",
    "warm_up",
]

MAX_CLASSES = 512
"""The kernels are tested up to this."""

Kernel = Callable[[Float32[np.ndarray, "k h w"], slice, Shaped[np.ndarray, "_ W"]], None]
"""Fills a band of rows of a map."""


def label_map(
    logits: Float[np.ndarray, "k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> LabelMap:
    """The class with the highest bilinearly upsampled logit at each pixel, the lowest of equals.

    Interpolation is in 32-bit floats, at the positions of `torch.nn.functional.interpolate(align_corners=False)`.

    Args:
        logits: of one image, on any grid.
        size: height and width of the label map; may be smaller than the grid.
        extent: height and width of the network's input. Its grid has a point for every 8 x 8 pixels and may reach
            beyond it. None if the grid spans exactly the image.
        threads: that share the rows.

    Returns:
        uint8, or uint16 above 255 classes.
    """
    rows, columns = (locate(*axis) for axis in _axes(logits, size, extent))
    return label_part(logits, rows, columns, threads=threads)


def label_part(logits: Float[np.ndarray, "k h w"], rows: Axis, columns: Axis, *, threads: int = 1) -> LabelMap:
    """The same for pixels at these positions on the grid, such as those of a part of an image."""
    firsts, label_rows = columns.firsts(logits.shape[2]), _label_kernel()

    def label(image: Float32[np.ndarray, "k h w"], band: slice, labels: Shaped[np.ndarray, "_ W"]) -> None:
        label_rows(image, rows.cell[band], rows.share[band], firsts, columns.share, labels)

    labels = np.empty((len(rows.cell), len(columns.cell)), np.uint8 if len(logits) <= IGNORE else np.uint16)
    _fill(labels, logits, label, rows.bands(threads))
    return labels


def confidence_map(
    logits: Float[np.ndarray, "k h w"], size: Size, extent: Size | None = None, *, threads: int = 1
) -> Confidence:
    """The softmax probability, 0..1 and within 1e-5, of the class that `label_map` gives each pixel.

    Args are those of `label_map`.
    """
    rows, columns = (locate_evenly(*axis) for axis in _axes(logits, size, extent))
    firsts, weigh_rows = columns.firsts(logits.shape[2] + 1), _confidence_kernel()
    pitch = np.array([rows.pitch, columns.pitch], np.float32)

    def weigh(image: Float32[np.ndarray, "k h w"], band: slice, confidence: Shaped[np.ndarray, "_ W"]) -> None:
        positions = image, rows.cell[band], rows.share[band], firsts, columns.share
        if weigh_rows(*positions, pitch, confidence):
            _steep_kernel()(*positions, confidence)

    confidence = np.empty(size, np.float32)
    _fill(confidence, logits, weigh, rows.bands(threads))
    return confidence


def _axes(logits: Float[np.ndarray, "k h w"], size: Size, extent: Size | None) -> list[tuple[int, int, int | None]]:
    """Grid points, pixels and extent of the rows and of the columns."""
    classes, height, width = logits.shape
    assert 1 <= classes <= MAX_CLASSES, f"{classes} classes"
    assert min(height, width, *size) >= 1, f"logits are {logits.shape}, the map {size}"
    return list(zip((height, width), size, extent or (None, None), strict=True))


def _fill(
    whole: Shaped[np.ndarray, "H W"], logits: Float[np.ndarray, "k h w"], kernel: Kernel, bands: list[slice]
) -> None:
    """Fill a map, each band of rows in a thread of its own."""
    array = np.require(logits, np.float32, ["C", "W"])  # one layout, so one compilation
    if len(bands) == 1:
        kernel(array, bands[0], whole)
        return
    with ThreadPoolExecutor(len(bands), thread_name_prefix="labelmap") as pool:
        list(pool.map(lambda band: kernel(array, band, whole[band]), bands))


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
