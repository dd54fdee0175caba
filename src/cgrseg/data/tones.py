"""Tones: how values of more than 8 bits, or floats, become 8 bits, and the levels that do it best for a data set.

    values -- no data (GDAL's tag, NaN, -9999 and the like) is black -- levels (black, white) --> 0..255
    images of a data set -- range of each -- depth that holds them all --> levels

Images of 8 bits a channel have their levels, 0 and 255, whatever those of deeper images are.

Axes: H W image rows and columns; a channel axis may follow.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Num, UInt16
from PIL import Image as Pillow
from PIL import ImageFile, ImageOps, TiffImagePlugin

from cgrseg.config import Levels
from cgrseg.errors import ImageError
from cgrseg.types import Image

ORIENTATION = 0x0112
"""The EXIF tag."""
NODATA_TAG = 42_113
"""GDAL_NODATA of a TIFF, a number as text."""
SENTINELS = (-999.0, -9_999.0, -99_999.0, -999_999.0, -32_767.0, -32_768.0, float(-(2**31)))
"""Values that mean no data if one of them is the lowest of an image."""
HUGE = 1e19
"""Floats of this size mean no data: fill values such as 1e20 and the type's limits."""
DEPTHS = (255.0, 1_023.0, 4_095.0, 16_383.0, 65_535.0)
"""The white of 8, 10, 12, 14 and 16 bits."""
FULL: Levels = (0.0, 65_535.0)
"""The levels of 16 bits where none are given."""
DARK = 16_383
"""Below this an image that is read over 16 bits is nearly black."""
OUTLIERS = 0.01
"""Percentage of the values at each end that say nothing about the levels, such as hot pixels."""
MOST_VALUES = 1_000_000
"""Number of values of an image from which its range is taken."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToneRange:
    """The range of the values of one image of more than 8 bits, without outliers and pixels marked as nodata."""

    low: float
    high: float
    is_float: bool
    has_nodata: bool


def decode(image: ImageFile.ImageFile, data: bytes, name: str, levels: Levels | None) -> Image:
    """Decode an opened image as upright RGB; see `cgrseg.data.images.decode_image`."""
    is_deep, nodata = is_deep_colour(image), nodata_of(image)
    image.load()
    if is_deep and levels is not None:
        return scaled(deep_colours(image, data, name), levels, nodata)
    ImageOps.exif_transpose(image, in_place=True)
    if levels is None and (is_deep or is_deep_gray(image)):
        warn_if_dark(image, name)
    return to_rgb(image, levels)


def tone_range(image: ImageFile.ImageFile, data: bytes, name: str) -> ToneRange | None:
    """The range of the values of an opened image; None for 8 bits a channel, or without any valid pixel."""
    if is_deep_colour(image):
        return range_of(deep_colours(image, data, name), nodata_of(image))
    return range_of(np.array(image)[..., None], nodata_of(image)) if is_deep_gray(image) else None


def deep_colours(image: Pillow.Image, data: bytes, name: str) -> UInt16[np.ndarray, "H W c"]:
    """The stored values of a colour image of 16 bits a channel, upright: RGB, or RGB and opacity.

    Pillow keeps the upper 8 bits only, so OpenCV decodes them.

    Args:
        image: the opened image.
        data: the bytes of its file.
        name: what errors call it.

    Raises:
        ImageError: OpenCV cannot read it.
    """
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or values.shape[2] < 3:
        raise ImageError(f"{name}: its 16-bit colours cannot be read", advice="save it as PNG, or with LZW as TIFF")
    has_opacity = image.mode in ("RGBA", "LA") and values.shape[2] == 4
    values = values[..., [2, 1, 0, 3] if has_opacity else [2, 1, 0]]
    # OpenCV turns a TIFF upright itself.
    return values if image.format == "TIFF" else _upright(values, image.getexif().get(ORIENTATION, 1))


def _upright(values: Num[np.ndarray, "H W c"], orientation: int) -> Num[np.ndarray, "H_new W_new c"]:
    """Apply an EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if orientation in (2, 3, 6, 7) else values


def is_deep_gray(image: Pillow.Image) -> bool:
    """Whether an image has one channel of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def is_deep_colour(image: Pillow.Image) -> bool:
    """Whether the decoder of an opened file is to drop the lower bits of its channels."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile:
        return False
    arguments = image.tile[0][3]
    packing, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
    is_ppm = image.format == "PPM" and bool(rest) and isinstance(rest[0], int) and rest[0] > 255
    return image.mode in ("RGB", "RGBA", "LA") and (";16" in str(packing) or is_ppm)


def to_rgb(image: Pillow.Image, levels: Levels | None = None) -> Image:
    """Convert a decoded image of any mode to RGB, with tones scaled to 8 bits and transparency over white."""
    nodata = nodata_of(image)
    if is_deep_gray(image):
        return scaled(np.array(image)[..., None], levels, nodata, image.info.get("transparency"))
    if image.mode == "La":
        image = image.convert("LA")
    if image.has_transparency_data:
        # The colour of transparent pixels is arbitrary, often black; pages that show them are usually white.
        image = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", image.size, "white"), image)
    rgb = np.array(image.convert("RGB"))
    if nodata is not None:
        rgb[(rgb == nodata).all(axis=2)] = 0
    return rgb


def nodata_of(image: Pillow.Image) -> float | None:
    """The value that a GeoTIFF declares to be no data."""
    text = image.tag_v2.get(NODATA_TAG) if isinstance(image, TiffImagePlugin.TiffImageFile) else None
    try:
        return None if text is None else float(str(text).strip("\0 "))
    except ValueError:
        return None


def scaled(
    values: Num[np.ndarray, "H W c"], levels: Levels | None, nodata: float | None, transparent: object = None
) -> Image:
    """Scale stored values to 8-bit RGB; a fourth channel is opacity, over white.

    Args:
        values: gray, or three channels, or four.
        levels: black and white; by default those of the type.
        nodata: a value that is no data, besides those that always are.
        transparent: a gray value that is shown as white.
    """
    colours = values[..., :3]
    is_data = find_data(colours, nodata, levels)
    black, white = levels or default_levels(colours, is_data)
    factor = 255 / ((white - black) or 1.0)
    if colours.dtype == np.uint16:
        table = np.rint((np.arange(65_536) - black) * factor).clip(0, 255).astype(np.uint8)
        tones = table[colours]
    else:
        numbers = np.where(is_data, colours, 0).astype(np.float64)
        tones = np.rint((numbers - black) * factor).clip(0, 255).astype(np.uint8)
    tones[~is_data] = 0
    if transparent is not None:
        tones[colours == transparent] = 255
    if values.shape[2] == 4:
        opacity = values[..., 3:] / np.iinfo(values.dtype).max
        tones = np.rint(tones * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return np.repeat(tones, 3, axis=2) if tones.shape[2] == 1 else tones


def find_data(
    values: Num[np.ndarray, "H W c"], nodata: float | None, levels: Levels | None = None
) -> Bool[np.ndarray, "H W c"]:
    """Where an image holds data: a finite value that is neither declared nor known to stand for none.

    Args:
        values: the stored values.
        nodata: the declared value, if there is one.
        levels: if white is far below the type's largest integer, that is a fill value, too.
    """
    is_data = np.ones(values.shape, bool)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            is_data &= np.abs(values) < HUGE
    elif levels is not None:
        top = np.iinfo(np.int16 if values.dtype.kind == "i" else np.uint16).max
        if levels[1] < top / 2:
            is_data &= values != top
    if nodata is not None and _fits(nodata, values.dtype):
        is_data &= values != values.dtype.type(nodata)
    if values.dtype.kind != "u" and is_data.any():
        low = float(values.min(where=is_data, initial=math.inf if values.dtype.kind == "f" else 2**31 - 1))
        if low in SENTINELS:
            is_data &= values != low
    return is_data


def _fits(number: float, dtype: np.dtype) -> bool:
    """Whether a type can hold a number; one that is not finite, or huge, counts as nodata anyway."""
    if not abs(number) < HUGE or dtype.kind == "f":
        return abs(number) < HUGE
    limits = np.iinfo(dtype)
    return limits.min <= number <= limits.max and number == int(number)


def default_levels(values: Num[np.ndarray, "H W c"], is_data: Bool[np.ndarray, "H W c"]) -> Levels:
    """The levels of an image for which none are known: of 16 bits all of them, else the smallest usual range."""
    if values.dtype == np.uint16 or not is_data.any():
        return FULL
    numbers = values[is_data].astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if low < 0 or high > FULL[1]:
        return low, high
    usual = (1.0, 255.0, FULL[1]) if values.dtype.kind == "f" else (255.0, FULL[1])
    return 0.0, next(white for white in usual if high <= white)


def range_of(values: Num[np.ndarray, "H W c"], nodata: float | None) -> ToneRange | None:
    """The range of the stored values of an image; None if it holds no data.

    The largest 16-bit value is taken for a fill value where nothing else reaches a quarter of it.
    """
    colours = values[..., :3]
    is_data = find_data(colours, nodata)
    if colours.dtype.kind != "f":
        top = np.iinfo(np.int16 if colours.dtype.kind == "i" else np.uint16).max
        rest = is_data & (colours != top)
        if rest.any() and colours.max(where=rest, initial=0) <= top / 4:
            is_data = rest
    numbers = colours[is_data]
    if not numbers.size:
        return None
    numbers = numbers[:: max(1, numbers.size // MOST_VALUES)]
    low, high = np.percentile(numbers, (OUTLIERS, 100 - OUTLIERS), method="nearest")
    return ToneRange(float(low), float(high), colours.dtype.kind == "f", not is_data.all())


def fit_levels(ranges: Sequence[ToneRange]) -> Levels:
    """The levels of a data set: 0 and the white of the smallest depth that holds its images, where that fits them.

    Black is the lowest value where values are negative or fill the upper half only; white is the highest value then,
    and where it is under a quarter of every depth's.
    """
    low, high = min(tones.low for tones in ranges), max(tones.high for tones in ranges)
    usual = (1.0, *DEPTHS) if any(tones.is_float for tones in ranges) else DEPTHS
    white = next((depth for depth in usual if high <= depth), math.inf)
    is_narrow = low > high / 2
    if is_narrow or white == math.inf or (usual[0] == 1.0 and white > 4 * high):
        white = _rounded_up(high)
    black = -_rounded_up(-low) if is_narrow or low < -0.05 * abs(white) else 0.0
    return (black, white) if black < white else (black, black + 1.0)


def _rounded_up(number: float) -> float:
    """A number with three significant digits, rounded up."""
    if not number:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(number))) - 2)
    return float(f"{math.ceil(number / step - 1e-9) * step:.6g}")


def warn_if_dark(image: Pillow.Image, name: str) -> None:
    """Log once that an image of more than 8 bits is read so that it is nearly black, and the levels that help.

    Args:
        image: decoded; of deep colours the upper 8 bits.
        name: of the image.
    """
    values = np.array(image)
    if image.mode in ("I", "F"):
        is_data = find_data(values[..., None], nodata_of(image))[..., 0]
        values = values[is_data]
        if not values.size or values.min() < 0 or not 255 < values.max() < DARK:
            return
    top = float(values.max()) if values.dtype != np.uint8 else float(values.max()) * 256 + 255
    if 0 < top <= DARK and not _warned:
        _warned.add(name)
        white = next(depth for depth in DEPTHS if top <= depth)
        logger.warning(
            "%s: its largest value is %s of 65,535, as of %d-bit data; without levels it is read over 0 to 65,535 and "
            "is nearly black; levels of 0 and %d would show it",
            *(name, f"{top:,.0f}", int(white).bit_length(), int(white)),
        )


_warned = set[str]()
"""The image that a warning was given about: one is enough."""
