"""Samples of a data set for viewing: each image with its labels, before and after the training transforms.

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
"""Largest number of classes in a set whose name lists all of them."""
WHITE = 255
"""The mean colour of a set of classes is blended with this to make it paler."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a data set, before and after the training transforms."""

    name: str
    image: Image
    labels: UInt8[np.ndarray, "H W"]
    seen: UInt8[np.ndarray, "H_new W_new 3"]
    """The network's input, converted back to 8-bit RGB; padding is gray."""
    seen_labels: UInt8[np.ndarray, "H_new W_new"]


def draw_samples(dataset: LabelledImages, config: DataConfig, count: int, seed: int) -> list[Sample]:
    """Draw images at random and return them in their order in the data set; of a mixture, evenly from all sources.

    Raises:
        ImageError, DatasetError: an image or its labels cannot be read; the message names the file.
    """
    rng = np.random.default_rng(seed)
    indices = sorted(_draw_indices(dataset, count, rng))
    return [_sample(dataset, config, index, np.random.default_rng((seed, index))) for index in indices]


def _draw_indices(dataset: LabelledImages, count: int, rng: np.random.Generator) -> list[int]:
    """The indices of random images, from all sources in rotation."""
    by_source: dict[str, list[int]] = {}
    for index in rng.permutation(len(dataset)).tolist():
        by_source.setdefault(dataset.pairs[index].source, []).append(index)
    rounds = zip_longest(*(by_source[name] for name in sorted(by_source)))
    return [index for indices in rounds for index in indices if index is not None][:count]


def labels_shown(dataset: LabelledImages) -> ClassTable:
    """The classes, followed by a name and a colour for each set of classes that labels may stand for."""
    names, colours = list(dataset.classes.names), list(dataset.classes.colours)
    for labels in dataset.sets:
        listed = [dataset.classes.names[label] for label in labels]
        few = len(listed) <= MOST_NAMED
        names.append(" or ".join(listed) if few else f"{' or '.join(listed[:2])} or {len(listed) - 2} more")
        mixed = np.mean([dataset.classes.colours[label] for label in labels], axis=0)
        red, green, blue = (int(value) for value in (mixed + WHITE) / 2)
        colours.append((red, green, blue))
    return ClassTable(tuple(names), tuple(colours))


def _sample(dataset: LabelledImages, config: DataConfig, index: int, rng: np.random.Generator) -> Sample:
    image, labels = dataset.image(index), dataset.labels(index)
    crop_px = config.crops_px[int(rng.integers(len(config.crops_px)))]
    seen, seen_labels = train_sample(image, labels, config, crop_px, rng)
    return Sample(dataset.pairs[index].name, image, labels, denormalised(seen), seen_labels)


def denormalised(image: Float32[np.ndarray, "3 H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """Undo `transforms.normalise`, rounded to 8-bit RGB."""
    values = np.moveaxis(image, 0, 2) * np.array(IMAGENET_STD) + np.array(IMAGENET_MEAN)
    return np.rint(values).clip(0, 255).astype(np.uint8)


def areas(samples: list[Sample], dataset: LabelledImages) -> dict[str, float]:
    """The share, 0..1 of all pixels of the samples, of each class that occurs in their label maps."""
    counts = sum((np.bincount(sample.labels.ravel(), minlength=256) for sample in samples), np.zeros(256, np.int64))
    shares: Float64[np.ndarray, 256] = counts / counts.sum()
    names = labels_shown(dataset).names
    return {name: float(share) for name, share in zip(names, shares[: len(names)], strict=True) if share}
