"""Rasters: images with a place on Earth, or too large to be held, read by GDAL one window at a time.

    file -- header --> is_raster
    file -- open_raster --> Raster -- read(rows, columns) --> RGB and which pixels hold data

What GDAL cannot decode is read as pixels without data, and remembered in `damaged`.

Axes: h w rows and columns of what is read.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image as Pillow

from cgrseg.data.images import MAX_PIXELS
from cgrseg.errors import ImageError, MissingExtra, reason
from cgrseg.types import Size

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

PLACED = (".tif", ".tiff", ".jp2", ".j2k", ".img", ".vrt")
"""The suffixes of files that may say where on Earth they are; GDAL is asked about them only."""
TIFF_TAGS = (33_550, 34_264, 34_735)
"""ModelPixelScale, ModelTransformation and GeoKeyDirectory."""
CACHE_BYTES = 64 * 2**20
"""Decoded blocks that GDAL keeps; its own default is a share of all memory."""
SMALLEST_PX = 32
"""What cannot be read resized is halved down to this, so that little is lost around damage."""

Span = tuple[int, int]
"""The first row or column, and the end."""


@dataclass(frozen=True)
class Box:
    """Rows and columns of a raster."""

    rows: Span
    columns: Span

    def __str__(self) -> str:
        return f"rows {self.rows[0]:,} to {self.rows[1] - 1:,}, columns {self.columns[0]:,} to {self.columns[1] - 1:,}"


def is_raster(path: Path) -> bool:
    """Whether a file has a place on Earth (a reference system or a transform), or more pixels than are decoded whole.

    Only headers are read. Without rasterio, a place is seen in TIFFs only.
    """
    try:
        with Pillow.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                return True
            if image.format == "TIFF":
                return any(tag in image.tag_v2 for tag in TIFF_TAGS) or _is_placed(path)  # type: ignore[attr-defined]
    except Pillow.DecompressionBombError:
        return True
    except Exception:  # noqa: BLE001  decoders raise any exception; whoever reads the image says what is wrong with it
        return _is_placed(path)
    return _is_placed(path)


def _is_placed(path: Path) -> bool:
    """Whether GDAL, if it is here, knows where on Earth a file of such a suffix is."""
    if path.suffix.lower() not in PLACED:
        return False
    try:
        rasterio = _rasterio()
        with rasterio.Env(), rasterio.open(path) as dataset:
            return dataset.crs is not None or not dataset.transform.is_identity
    except (MissingExtra, OSError):  # RasterioIOError is an OSError
        return False
    except Exception:  # noqa: BLE001  whoever reads the image says what is wrong with it
        return False


def _rasterio() -> ModuleType:
    """GDAL's binding, made quiet: what goes wrong is an exception, which our own sentences are about.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning
    except ImportError:
        raise MissingExtra("rasterio not installed", advice="run: pip install 'cgrseg[geo]'") from None
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # not restored: other threads have filters, too
    return rasterio


@dataclass
class Raster:
    """An opened raster and three of its bands."""

    path: Path
    dataset: "DatasetReader"
    bands: tuple[int, ...]
    """Numbers, from 1, of what is read as red, green and blue."""
    damaged: list[Box] = field(default_factory=list)
    """Blocks that could not be decoded so far."""

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.dataset.height, self.dataset.width

    def read(self, rows: Span, columns: Span) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """A window as RGB, and which of its pixels hold data; blocks that are damaged hold none."""
        try:
            return self._read(rows, columns)
        except OSError:
            return self._read_blocks(rows, columns)

    def _read(self, rows: Span, columns: Span) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        from rasterio.windows import Window

        window = Window.from_slices(rows, columns)
        image = np.ascontiguousarray(self.dataset.read(self.bands, window=window).transpose(1, 2, 0))
        valid = (self.dataset.read_masks(self.bands, window=window) > 0).any(axis=0)
        return image, valid

    def _read_blocks(self, rows: Span, columns: Span) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """The same block by block, so that only the damaged ones are lost."""
        size = rows[1] - rows[0], columns[1] - columns[0]
        image, valid = np.zeros((*size, 3), np.uint8), np.zeros(size, bool)
        for block, box in self._blocks(rows, columns):
            inside = (
                slice(box.rows[0] - rows[0], box.rows[1] - rows[0]),
                slice(box.columns[0] - columns[0], box.columns[1] - columns[0]),
            )
            try:
                image[inside], valid[inside] = self._read(box.rows, box.columns)
            except OSError:
                self.damaged.append(block)
        return image, valid

    def _blocks(self, rows: Span, columns: Span) -> Iterator[tuple[Box, Box]]:
        """The blocks of the file that a window touches, whole and cut to the window."""
        height, width = self.dataset.block_shapes[self.bands[0] - 1]
        for top in range(rows[0] // height * height, rows[1], height):
            for left in range(columns[0] // width * width, columns[1], width):
                down, across = (top, min(top + height, self.size[0])), (left, min(left + width, self.size[1]))
                yield Box(down, across), Box(_common(down, rows), _common(across, columns))

    def read_resized(
        self, rows: Span, columns: Span, seen: Size
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        """A window of the raster resized to `seen` (height, width); what cannot be decoded holds no data."""
        try:
            return self._read_resized(rows, columns, seen)
        except OSError:
            size = rows[1] - rows[0], columns[1] - columns[0]
            if max(size) <= SMALLEST_PX:
                return np.zeros((*size, 3), np.uint8), np.zeros(size, bool)
            axis = int(size[1] > size[0])
            halves = [
                self.read_resized(half if axis == 0 else rows, half if axis == 1 else columns, seen)
                for half in _halves((rows, columns)[axis])
            ]
            return np.concatenate([half[0] for half in halves], axis), np.concatenate(
                [half[1] for half in halves], axis
            )

    def _read_resized(
        self, rows: Span, columns: Span, seen: Size
    ) -> tuple[UInt8[np.ndarray, "h w 3"], Bool[np.ndarray, "h w"]]:
        from rasterio.enums import Resampling
        from rasterio.windows import Window

        down, across = (whole / small for whole, small in zip(self.size, seen, strict=True))
        size = rows[1] - rows[0], columns[1] - columns[0]
        window = Window(columns[0] * across, rows[0] * down, size[1] * across, size[0] * down)  # type: ignore[call-arg]
        how = Resampling.average if down > 1 else Resampling.bilinear
        image = self.dataset.read(self.bands, window=window, out_shape=(3, *size), resampling=how)
        masks = self.dataset.read_masks(self.bands, window=window, out_shape=(3, *size))
        return np.ascontiguousarray(image.transpose(1, 2, 0)), (masks > 0).any(axis=0)


def _common(one: Span, other: Span) -> Span:
    return max(one[0], other[0]), min(one[1], other[1])


def _halves(span: Span) -> tuple[Span, Span]:
    middle = (span[0] + span[1]) // 2
    return (span[0], middle), (middle, span[1])


@contextmanager
def open_raster(path: Path, bands: Sequence[int] | None = None) -> Iterator[Raster]:
    """Open a raster of 8 bits a band.

    Args:
        path: of any format that GDAL reads.
        bands: numbers, from 1, of the red, green and blue band; needed unless it has three, or three and an alpha band.

    Raises:
        ImageError: it cannot be opened, has other bands, or values of more than 8 bits.
        MissingExtra: rasterio is not installed.
    """
    rasterio = _rasterio()
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        try:
            dataset = rasterio.open(path)
        except OSError as error:
            raise ImageError(
                f"{path} cannot be opened as a raster: {reason(error)}", advice="copy or download it again"
            ) from None
        with dataset:
            chosen = _checked_bands(path, dataset, bands)
            yield Raster(path, dataset, chosen)


def _checked_bands(path: Path, dataset: "DatasetReader", bands: Sequence[int] | None) -> tuple[int, ...]:
    kinds = [kind.name for kind in dataset.colorinterp]
    present = ", ".join(f"{number} {kind}" for number, kind in enumerate(kinds, 1))
    if bands is None:
        if len(kinds) != 3 and not (len(kinds) == 4 and kinds[3] == "alpha"):
            problem = (
                f"{path} has {len(kinds)} bands ({present})" if len(kinds) > 1 else f"{path} has one band ({present})"
            )
            raise ImageError(problem, advice="choose three as red, green and blue, such as 3,2,1", setting="bands")
        bands = (1, 2, 3)
    wrong = next((number for number in bands if not 1 <= number <= len(kinds)), None)
    if len(bands) != 3 or wrong is not None:
        given = ",".join(map(str, bands))
        raise ImageError(
            f"bands {given} are not three of {path}", advice=f"it has {present}; choose three", setting="bands"
        )
    types = {dataset.dtypes[number - 1] for number in bands}
    if types != {"uint8"}:
        raise ImageError(
            f"{path} holds values of type {' and '.join(sorted(types))}",
            advice="rasters need 8 bits a band; scale it first, for example with gdal_translate -ot Byte -scale",
        )
    return tuple(bands)
