"""Samples of a data set to look at: each picture with its labels, and both as training sees them.

Axes: H W rows and columns of the picture, H_new W_new of the crop.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from cgrseg.arrays import Image
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.transforms import train_sample


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture of a data set, before and after the transforms of training."""

    name: str
    image: Image
    labels: UInt8[np.ndarray, "H W"]
    seen: UInt8[np.ndarray, "H_new W_new 3"]
    """What the network is given, back in 8-bit RGB; padding is gray."""
    seen_labels: UInt8[np.ndarray, "H_new W_new"]


def draw_samples(dataset: LabelledImages, config: DataConfig, count: int, seed: int) -> list[Sample]:
    """Some pictures, drawn at random but shown in their order.

    Raises:
        ImageError, DatasetError: one of them cannot be used; the message names the file.
    """
    rng = np.random.default_rng(seed)
    places = np.sort(rng.choice(len(dataset), min(count, len(dataset)), replace=False))
    return [_sample(dataset, config, int(place), np.random.default_rng((seed, int(place)))) for place in places]


def _sample(dataset: LabelledImages, config: DataConfig, place: int, rng: np.random.Generator) -> Sample:
    image, labels = dataset.image(place), dataset.labels(place)
    crop_px = config.crops_px[int(rng.integers(len(config.crops_px)))]
    seen, seen_labels = train_sample(image, labels, config, crop_px, rng)
    return Sample(dataset.pairs[place].name, image, labels, denormalised(seen), seen_labels)


def denormalised(image: Float32[np.ndarray, "3 H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture that was normalised for the network."""
    values = np.moveaxis(image, 0, 2) * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def areas(samples: list[Sample], dataset: LabelledImages) -> dict[str, float]:
    """The share of each class that occurs in the label maps of some samples, 0..1 of all their pixels."""
    counts = sum((np.bincount(sample.labels.ravel(), minlength=256) for sample in samples), np.zeros(256, np.int64))
    shares: Float64[np.ndarray, 256] = counts / counts.sum()
    names = dataset.classes.names
    return {name: float(share) for name, share in zip(names, shares[: len(names)], strict=True) if share}
