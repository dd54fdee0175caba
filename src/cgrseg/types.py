"""Names for the shapes of arrays that cross module borders.

Axes: H W image rows and columns, k classes. Sizes are always (height, width).
"""

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

Size = tuple[int, int]
"""(height, width) in pixels."""

Colour = tuple[int, int, int]
"""(red, green, blue), each 0..255."""

Image = UInt8[np.ndarray, "H W 3"]
"""RGB image, 0..255."""

LabelMap = Shaped[np.ndarray, "H W"]
"""One class number per pixel: uint8 with 255 = ignore, or uint16 with 65535 = ignore above 255 classes."""

Confidence = Float32[np.ndarray, "H W"]
"""Probability of the label at each pixel, 0..1."""

IGNORE = 255
"""The label of pixels that are neither learnt nor scored."""

IGNORE_16 = 65_535
"""The same in label maps of 16 bits."""


def ignore_value(labels: Shaped[np.ndarray, "..."]) -> int:
    """The label that means ignore in an array of this type: 255 in 8 bits, 65535 in 16."""
    return IGNORE if labels.dtype.itemsize == 1 else IGNORE_16
