"""Picture -> label map, on any engine.

    picture -- resize to fit, normalise -- engine -- logits -- upsampled argmax -- labels, sized as the picture

Axes: _H _W rows and columns of the prepared picture.
"""

import numpy as np
from jaxtyping import Float32

from cgrseg.arrays import Confidence, Image, LabelMap, Size
from cgrseg.data.images import resize_image
from cgrseg.data.transforms import fit_size, normalise
from cgrseg.labeling import label_map, label_map_with_confidence
from cgrseg.runtime import Engine
from cgrseg.weights import WeightsInfo


def prepare(image: Image, info: WeightsInfo) -> Float32[np.ndarray, "3 _H _W"]:
    """The picture as the network takes it: of the size it was made for, aspect kept, and normalised."""
    size = fit_size(_size(image), (info.inference.short_px, info.inference.long_px))
    return normalise(resize_image(image, size), info.mean, info.std)


def predict_labels(engine: Engine, info: WeightsInfo, image: Image) -> LabelMap:
    """The class of each pixel."""
    prepared = prepare(image, info)
    return label_map(engine(prepared[None])[0], _size(image), extent=_size(prepared[0]))


def predict_labels_with_confidence(engine: Engine, info: WeightsInfo, image: Image) -> tuple[LabelMap, Confidence]:
    """The class of each pixel and its probability; on many classes this costs several times the labels alone."""
    prepared = prepare(image, info)
    return label_map_with_confidence(engine(prepared[None])[0], _size(image), extent=_size(prepared[0]))


def _size(picture: np.ndarray) -> Size:
    return picture.shape[0], picture.shape[1]
