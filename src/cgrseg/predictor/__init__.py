"""The first thing a user meets: load weights, call them with a picture, look at the result, save it."""

from cgrseg.predictor.result import Failure, Segmentation
from cgrseg.predictor.segmenter import Inferred, Named, ImageLike, Prepared, Segmenter, as_image, load

__all__ = [
    "Failure",
    "Inferred",
    "Named",
    "ImageLike",
    "Prepared",
    "Segmentation",
    "Segmenter",
    "as_image",
    "load",
]
