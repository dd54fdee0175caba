"""The first thing a user meets: load weights, call them with a picture, look at the result, save it."""

from cgrseg.prediction.loading import load
from cgrseg.prediction.segmentation import Failure, Segmentation
from cgrseg.prediction.segmenter import Inferred, Named, Picture, Prepared, Segmenter, as_image

__all__ = [
    "Failure",
    "Inferred",
    "Named",
    "Picture",
    "Prepared",
    "Segmentation",
    "Segmenter",
    "as_image",
    "load",
]
