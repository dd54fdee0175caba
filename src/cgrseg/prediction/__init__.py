"""The first thing a user meets: load weights, call them with a picture, look at the result, save it."""

from cgrseg.prediction.loading import load
from cgrseg.prediction.segmentation import Failure, Segmentation
from cgrseg.prediction.segmenter import Named, Picture, Segmenter, as_image

__all__ = ["Failure", "Named", "Picture", "Segmentation", "Segmenter", "as_image", "load"]
