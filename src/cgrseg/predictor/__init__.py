"""The first thing a user meets: load weights, call them with an image, look at the result, save it."""

from cgrseg.predictor.result import Failure, Segmentation
from cgrseg.predictor.saving import ResultWriter
from cgrseg.predictor.segmenter import ImageLike, Inferred, Named, Prepared, Segmenter, as_image, load

__all__ = [
    "Failure",
    "ImageLike",
    "Inferred",
    "Named",
    "Prepared",
    "ResultWriter",
    "Segmentation",
    "Segmenter",
    "as_image",
    "load",
]
