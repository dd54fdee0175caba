"""Picture -> label map, on any engine.

    picture -- resize to fit, normalise -- engine -- evidence --+-- upsampled argmax --> labels, sized as the picture
                                                                +-- upsampled softmax --> confidence

Axes: k classes, h w grid rows and columns, _H _W rows and columns of the prepared picture.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from cgrseg.arrays import Confidence, Image, LabelMap, Size
from cgrseg.data.images import resize_image
from cgrseg.data.transforms import fit_size, normalise
from cgrseg.labeling import confidence_map, label_map
from cgrseg.runtime import Engine
from cgrseg.weights import WeightsInfo


@dataclass(frozen=True)
class Evidence:
    """What the network says of a picture: logits, and how their grid lies on it."""

    logits: Float32[np.ndarray, "k h w"] = field(repr=False)
    size: Size
    """Of the picture."""
    extent: Size
    """Of the prepared picture, which the grid covers."""

    def labels(self, threads: int = 1) -> LabelMap:
        """The class of each pixel."""
        return label_map(self.logits, self.size, self.extent, threads=threads)

    def confidence(self, threads: int = 1) -> Confidence:
        """The probability of each pixel's class; it costs more than the labels."""
        return confidence_map(self.logits, self.size, self.extent, threads=threads)


def prepare(image: Image, info: WeightsInfo) -> Float32[np.ndarray, "3 _H _W"]:
    """The picture as the network takes it: of the size it was made for, aspect kept, and normalised."""
    size = fit_size(_size(image), (info.inference.short_px, info.inference.long_px))
    return normalise(resize_image(image, size), info.mean, info.std)


def infer(engine: Engine, prepared: Float32[np.ndarray, "3 _H _W"], size: Size) -> Evidence:
    """Run the network on a prepared picture; `size` is that of the picture it was made from."""
    return Evidence(engine(prepared[None])[0], size, prepared.shape[1:])


def _size(picture: np.ndarray) -> Size:
    return picture.shape[0], picture.shape[1]
