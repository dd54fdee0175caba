"""Label maps painted from masks that one JSON file lists for many images: polygons or run lengths.

    polygon [x0 y0 x1 y1 ...]   the pixels whose centre lies inside, by the even-odd rule
    runs {size, counts}         column by column, beginning outside the mask; numbers or COCO's text

Later masks cover earlier ones. Axes: H W image rows and columns.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt16

from cgrseg.data import rle
from cgrseg.data.datasets.labelled import Pair
from cgrseg.data.polygons import fill_polygon
from cgrseg.errors import DatasetError
from cgrseg.types import Size

Mask = list | dict
"""A mask in JSON: a list of polygons, or a mapping with `size` and `counts`."""


@dataclass(frozen=True)
class MaskReader:
    """Paints the label map of an image; sizes and masks, each with its value, are keyed by image name."""

    sizes: dict[str, Size]
    masks: dict[str, list[tuple[int, Mask]]]
    unlabelled: int

    def __call__(self, pair: Pair) -> UInt16[np.ndarray, "H W"]:
        size = self.sizes[pair.name]
        labels = np.full(size, self.unlabelled, np.uint16)
        for index, (value, mask) in enumerate(self.masks.get(pair.name, ())):
            try:
                labels[decode_mask(mask, size)] = value
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise DatasetError(f"{pair.labels}: mask {index + 1} of {pair.name} is malformed: {error}") from None
        return labels


def decode_mask(mask: Mask, size: Size) -> Bool[np.ndarray, "H W"]:
    """Decode a mask in either format.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: the mask is malformed.
    """
    if isinstance(mask, dict):
        if tuple(mask["size"]) != size:
            raise ValueError(f"its size is {mask['size']}, but the size of the image is {list(size)}")
        return rle.decode_mask(mask["counts"], size)
    if not mask:
        raise ValueError("it has no outline, and boxes are not labels")
    inside = np.zeros(size, bool)
    for polygon in mask:
        inside |= fill_polygon(np.asarray(polygon, np.float64).reshape(-1, 2), size)
    return inside
