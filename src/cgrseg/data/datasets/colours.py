"""Label maps drawn in colours: an RGB image in which each class has its own.

Axes: H W image rows and columns, n pixels.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt16, UInt32

from cgrseg.data.images import read_image
from cgrseg.errors import DatasetError
from cgrseg.types import Colour, Image


def holds_colours(file: Path) -> bool:
    """Whether a label file is a PNG in colours, by its first bytes: its mark, and at byte 25 the type of its pixels."""
    with file.open("rb") as stream:
        header = stream.read(26)
    return header.startswith(b"\x89PNG") and header[25:] in (b"\x02", b"\x06")


def read_colours(file: Path, values: dict[Colour, int]) -> UInt16[np.ndarray, "H W"]:
    """The value of the colour at each pixel of a label file.

    Raises:
        DatasetError: it holds other colours.
    """
    pixels = _packed(read_image(file))
    by_number = {red << 16 | green << 8 | blue: value for (red, green, blue), value in values.items()}
    colours = np.array(sorted(by_number), np.uint32)
    places = np.searchsorted(colours, pixels).clip(max=len(colours) - 1)
    strange = pixels[colours[places] != pixels]
    if len(strange):
        raise DatasetError(
            f"{file} holds {_described(strange)}", advice="no class has such a colour, nor is it one to ignore"
        )
    return np.array([by_number[int(number)] for number in colours], np.uint16)[places]


def _packed(image: Image) -> UInt32[np.ndarray, "H W"]:
    """Each colour as one number, red first."""
    red, green, blue = np.moveaxis(image.astype(np.uint32), 2, 0)
    return red << 16 | green << 8 | blue


def _described(pixels: UInt32[np.ndarray, "n"]) -> str:
    """The most frequent of some colours; many of them come from resizing or JPEG."""
    numbers, counts = np.unique(pixels, return_counts=True)
    most = np.argsort(-counts, kind="stable")[:3]
    colours = [(int(number) >> 16, int(number) >> 8 & 255, int(number) & 255) for number in numbers[most]]
    named = ", ".join(f"{colour} in {count:,}" for colour, count in zip(colours, counts[most], strict=True))
    rest = f" and {len(numbers) - 3:,} more, as resizing or JPEG make them" if len(numbers) > 3 else ""
    return f"the colour {named} pixels{rest}"
