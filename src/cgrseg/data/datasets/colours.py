"""Label maps drawn in colours: RGB images in which each class has its own colour.

Axes: H W image rows and columns, n pixels.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt16, UInt32
from PIL import Image as Pillow

from cgrseg.data.images import read_image
from cgrseg.errors import DatasetError
from cgrseg.types import Colour, Image

LISTED = 3
"""Colours that an error names: label maps that were resized or saved as JPEG hold more unknown ones than this."""


def holds_colours(file: Path, *, with_palettes: bool = False) -> bool:
    """Whether a label file holds colours: a PNG by its colour type in byte 25, a TIFF or BMP by its header.

    Args:
        file: the label file.
        with_palettes: whether the colours of a palette count.
    """
    with file.open("rb") as stream:
        header = stream.read(26)
    if header.startswith(b"\x89PNG"):
        return header[25:] in ((b"\x02", b"\x06", b"\x03") if with_palettes else (b"\x02", b"\x06"))
    if not header.startswith((b"II", b"MM", b"BM")):
        return False
    return _mode(file) in (("RGB", "RGBA", "P") if with_palettes else ("RGB", "RGBA"))


def _mode(file: Path) -> str:
    """Pillow's mode of an image, from its header; empty if it cannot be read, which its reader reports."""
    try:
        with Pillow.open(file) as image:
            return image.mode
    except Exception:  # noqa: BLE001  decoders raise any exception on malformed bytes
        return ""


def read_colours(file: Path, values: dict[Colour, int]) -> UInt16[np.ndarray, "H W"]:
    """The value of the colour at each pixel of a label file.

    Raises:
        DatasetError: it holds other colours.
    """
    pixels = _packed(read_image(file))
    by_number = {red << 16 | green << 8 | blue: value for (red, green, blue), value in values.items()}
    colours = np.array(sorted(by_number), np.uint32)
    indices = np.searchsorted(colours, pixels).clip(max=len(colours) - 1)
    unknown = pixels[colours[indices] != pixels]
    if len(unknown):
        raise DatasetError(
            f"{file} holds {_description(_counted(unknown))}",
            advice="give each colour a class, or list it among those to ignore",
        )
    return np.array([by_number[int(number)] for number in colours], np.uint16)[indices]


def colours_of(image: Image) -> dict[Colour, int]:
    """The colours of an image and the number of their pixels, the most frequent first."""
    return _counted(_packed(image).ravel())


def _packed(image: Image) -> UInt32[np.ndarray, "H W"]:
    """Each colour as one number, red first."""
    red, green, blue = np.moveaxis(image.astype(np.uint32), 2, 0)
    return red << 16 | green << 8 | blue


def _counted(pixels: UInt32[np.ndarray, "n"]) -> dict[Colour, int]:
    """The colours of packed pixels and their numbers, the most frequent first."""
    numbers, counts = np.unique(pixels, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    pairs = zip(numbers[order].tolist(), counts[order].tolist(), strict=True)
    return {(number >> 16, number >> 8 & 255, number & 255): count for number, count in pairs}


def _description(counts: dict[Colour, int]) -> str:
    """The first few colours with their counts; more than a few come from resizing or JPEG."""
    listed = ", ".join(f"{colour} in {count:,}" for colour, count in list(counts.items())[:LISTED])
    more = f" and {len(counts) - LISTED:,} more, as resizing or JPEG make them" if len(counts) > LISTED else ""
    return f"the colour {listed} pixels{more}"
