"""Samples of a data set to look at: each image with its labels, and both as training sees them.

Axes: H W rows and columns of the image, H_new W_new of the crop.
"""

from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from cgrseg.classes import ClassTable
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.transforms import train_sample
from cgrseg.types import Image

MOST_NAMED = 3
"""Classes of a set that its name lists."""
WHITE = 255
"""What the mean colour of a set is made paler with."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a data set, before and after the transforms of training."""

    name: str
    image: Image
    labels: UInt8[np.ndarray, "H W"]
    seen: UInt8[np.ndarray, "H_new W_new 3"]
    """What the network is given, back in 8-bit RGB; padding is gray."""
    seen_labels: UInt8[np.ndarray, "H_new W_new"]


def draw_samples(dataset: LabelledImages, config: DataConfig, count: int, seed: int) -> list[Sample]:
    """Some images, drawn at random but shown in their order; of a mixture, as many of each source as can be.

    Raises:
        ImageError, DatasetError: one of them cannot be used; the message names the file.
    """
    rng = np.random.default_rng(seed)
    places = sorted(_drawn(dataset, count, rng))
    return [_sample(dataset, config, int(place), np.random.default_rng((seed, int(place)))) for place in places]


def _drawn(dataset: LabelledImages, count: int, rng: np.random.Generator) -> list[int]:
    """Places of some images, from one source after the other."""
    piles: dict[str, list[int]] = {}
    for place in rng.permutation(len(dataset)).tolist():
        piles.setdefault(dataset.pairs[place].source, []).append(place)
    turns = [place for turn in zip_longest(*(piles[name] for name in sorted(piles))) for place in turn]
    return [place for place in turns if place is not None][:count]


def labels_shown(dataset: LabelledImages) -> ClassTable:
    """The classes, and after them a name and a colour for each set of classes that labels stand for."""
    names, colours = list(dataset.classes.names), list(dataset.classes.colours)
    for labels in dataset.sets:
        listed = [dataset.classes.names[label] for label in labels]
        few = len(listed) <= MOST_NAMED
        names.append(" or ".join(listed) if few else f"{' or '.join(listed[:2])} or {len(listed) - 2} more")
        mixed = np.mean([dataset.classes.colours[label] for label in labels], axis=0)
        red, green, blue = (int(value) for value in (mixed + WHITE) / 2)
        colours.append((red, green, blue))
    return ClassTable(tuple(names), tuple(colours))


def _sample(dataset: LabelledImages, config: DataConfig, place: int, rng: np.random.Generator) -> Sample:
    image, labels = dataset.image(place), dataset.labels(place)
    crop_px = config.crops_px[int(rng.integers(len(config.crops_px)))]
    seen, seen_labels = train_sample(image, labels, config, crop_px, rng)
    return Sample(dataset.pairs[place].name, image, labels, denormalised(seen), seen_labels)


def denormalised(image: Float32[np.ndarray, "3 H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """The image that was normalised for the network."""
    values = np.moveaxis(image, 0, 2) * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def areas(samples: list[Sample], dataset: LabelledImages) -> dict[str, float]:
    """The share of each class that occurs in the label maps of some samples, 0..1 of all their pixels."""
    counts = sum((np.bincount(sample.labels.ravel(), minlength=256) for sample in samples), np.zeros(256, np.int64))
    shares: Float64[np.ndarray, 256] = counts / counts.sum()
    names = labels_shown(dataset).names
    return {name: float(share) for name, share in zip(names, shares[: len(names)], strict=True) if share}
