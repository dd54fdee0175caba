"""What the network says of a whole picture, and the labels that follow from it.

    picture -- resize to fit, normalise -- engine -- evidence --+-- upsampled argmax --> labels, sized as the picture
                                                                +-- upsampled softmax --> confidence

Axes: k classes, h w grid rows and columns, n pixels, _H _W rows and columns of the prepared picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Int64

from cgrseg.arrays import Confidence, Image, LabelMap, Size
from cgrseg.data.images import resize_image
from cgrseg.data.transforms import fit_size, normalise
from cgrseg.inference.running import run
from cgrseg.labeling import confidence_map, label_map
from cgrseg.labeling.axis import Axis, place
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
    temperature: float = 1.0
    """Divides the logits that confidence comes from."""

    def labels(self, threads: int = 1) -> LabelMap:
        """The class of each pixel."""
        return label_map(self.logits, self.size, self.extent, threads=threads)

    def confidence(self, threads: int = 1) -> Confidence:
        """The probability of each pixel's class; it costs more than the labels."""
        logits = self.logits if self.temperature == 1 else self.logits / np.float32(self.temperature)
        return confidence_map(logits, self.size, self.extent, threads=threads)

    def logits_of(self, pixels: Int64[np.ndarray, "n"]) -> Float32[np.ndarray, "k n"]:
        """The upsampled logits of some pixels, numbered row after row; the temperature does not touch them."""
        height, width = self.logits.shape[1:]
        rows, columns = (place(*axis) for axis in zip((height, width), self.size, self.extent, strict=True))
        above, below, down = _ends(rows, pixels // self.size[1], height)
        left, right, along = _ends(columns, pixels % self.size[1], width)
        first = self.logits[:, above, left] * (1 - down) + self.logits[:, below, left] * down
        second = self.logits[:, above, right] * (1 - down) + self.logits[:, below, right] * down
        return first * (1 - along) + second * along


def _ends(
    axis: Axis, pixels: Int64[np.ndarray, "n"], points: int
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"], Float32[np.ndarray, "n"]]:
    """The grid points before and behind each pixel, and how far it lies between them."""
    before = axis.cell[pixels].astype(np.int64)
    return before, np.minimum(before + 1, points - 1), axis.share[pixels]


def prepare(image: Image, info: WeightsInfo) -> Float32[np.ndarray, "3 _H _W"]:
    """The picture as the network takes it: of the size it was made for, aspect kept, and normalised."""
    size = fit_size(_size(image), (info.inference.short_px, info.inference.long_px))
    return normalise(resize_image(image, size), info.mean, info.std)


def infer(
    engine: Engine,
    pictures: Sequence[tuple[Float32[np.ndarray, "3 _ _"], Size]],
    temperature: float = 1.0,
    batch: int = 1,
) -> list[Evidence]:
    """Run the network on prepared pictures, each with the size of the picture it was made from."""
    answers = run(engine, (array for array, _ in pictures), batch)
    return [
        Evidence(logits, size, (array.shape[1], array.shape[2]), temperature)
        for logits, (array, size) in zip(answers, pictures, strict=True)
    ]


def _size(picture: np.ndarray) -> Size:
    return picture.shape[0], picture.shape[1]
