"""Labelled images of any data set: the one class that training and evaluation read from.

    label file -- read: the values it stores -- lookup: the class of each value -- checks -- labels 0..k-1, 255

In a mixture of data sets (`cgrseg.data.mixture`) the labels k, k+1, ... stand for sets of classes: the pixel belongs to
one of them, but it is not known to which.

Axes: H W image rows and columns, k classes, p images, v values that a label file may hold.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from cgrseg.classes import ClassTable, read_published
from cgrseg.config import Kind, Levels
from cgrseg.data.images import read_image, read_label_map, read_size, read_tones
from cgrseg.data.tones import ToneRange, fit_levels
from cgrseg.errors import DatasetError, ImageError
from cgrseg.types import IGNORE, IGNORE_16, Image, LabelMap, ignore_value

TONE_SAMPLE = 64
"""Number of images of a data set whose values are looked at to choose levels."""

OUTSIDE = 254
"""The lookup's result for values that the data set does not define; so there are at most 254 classes and sets."""

UNLABELLED = IGNORE_16
"""The value of unlabelled pixels in label maps drawn from shapes or colours; 16-bit label files may hold it, too."""

Lookup = UInt8[np.ndarray, "v"]
"""The class of each value in a label file: 0..k-1, 255 = ignore, or OUTSIDE; the last entry holds for larger values."""


@dataclass(frozen=True)
class Pair:
    """One image and its label file."""

    name: str
    image: Path
    labels: Path
    source: str = ""
    """In a mixture, the name of the data set that it comes from."""
    masks: tuple[Path, ...] = ()
    """If there is a mask for each class, the files of all of them; `labels` is the first."""
    is_negative: bool = False
    """Whether there is no label file because none of the classes but the background is in the image."""
    levels: Levels | None = None
    """Black and white of the image, if it has more than 8 bits a channel."""


@dataclass(frozen=True)
class Note:
    """A decision of a reader that the owner of the data set should know."""

    code: str
    """A short, stable identifier, such as `root-category`."""
    sentence: str
    fix: str
    """What to do if the decision is wrong."""
    files: tuple[Path | str, ...] = ()
    """The files, or names of images or classes, that it concerns."""
    is_warning: bool = False
    """Whether it is likely to be a mistake of the owner."""


Read = Callable[[Pair], LabelMap]
"""Reads the values in the label file of a pair; it must be picklable, for worker processes."""


def read_values(pair: Pair) -> LabelMap:
    """Read the values of a label file that is a gray or palette image."""
    return read_label_map(pair.labels)


@dataclass(frozen=True)
class Layout:
    """One split of a data set on disk: its pairs of files and how to read them."""

    classes: ClassTable
    lookup: Lookup
    pairs: tuple[Pair, ...]
    read: Read = read_values
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class SplitFiles:
    """All files that are read of a split, whether or not they pair."""

    images: Path
    """The folder of its images."""
    labels: Path
    """The folder of its label files, or the one JSON that holds the labels of all images."""
    files: frozenset[Path]
    is_listed: bool = False
    """Whether lists say which images of the folder belong to the split."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """One split of a data set; images and labels are read when they are asked for."""

    kind: Kind | Literal["mixture"]
    split: str
    classes: ClassTable
    pairs: tuple[Pair, ...]
    lookup: Lookup
    read: Read = read_values
    expected: int | None = None
    """The number of images in the official release, if there is one."""
    sets: tuple[tuple[int, ...], ...] = ()
    """The label k + i means one of the classes `sets[i]`."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """In a mixture, the share of each source in the drawn images; the shares sum to 1."""
    notes: tuple[Note, ...] = ()

    def __len__(self) -> int:
        return len(self.pairs)

    def image(self, index: int) -> Image:
        """Read the image at `index`."""
        pair = self.pairs[index]
        return read_image(pair.image, levels=pair.levels)

    def with_levels(self, levels: Levels | None) -> "LabelledImages":
        """The same with a black and white for those images for which none are known."""
        if levels is None:
            return self
        pairs = (pair if pair.levels else replace(pair, levels=levels) for pair in self.pairs)
        return replace(self, pairs=tuple(pairs))

    def own_levels(self) -> Levels | None:
        """The levels that fit the images; None if they have 8 bits a channel."""
        ranges = self.tone_ranges()
        return fit_levels(ranges) if ranges else None

    def tone_ranges(self) -> tuple[ToneRange, ...]:
        """The ranges of some images that have more than 8 bits a channel; those that cannot be read are skipped."""
        indices = np.unique(np.linspace(0, len(self) - 1, min(len(self), TONE_SAMPLE)).round().astype(int))
        with ThreadPoolExecutor() as threads:
            ranges = threads.map(_tones_of, (self.pairs[index].image for index in indices.tolist()))
            return tuple(found for found in ranges if found is not None)

    def labels(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """Read the label map at `index`: 0..k-1, from k on for sets of classes, and 255 for unlabelled pixels.

        Raises:
            DatasetError: it holds a value that the data set does not define, or its size differs from the image's.
        """
        return self.labels_of(self.pairs[index])

    def plain_labels(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """Read the label map at `index` without sets: 0..k-1, and 255 for unlabelled pixels and sets of classes."""
        return plain(self.labels(index), len(self.classes))

    def labels_of(self, pair: Pair) -> UInt8[np.ndarray, "H W"]:
        """Read the label map of a pair; see `labels`."""
        raw, size = self.read(pair), read_size(pair.image)
        if raw.shape != size:
            label_size, image_size = (f"{width} x {height}" for height, width in (raw.shape, size))
            raise DatasetError(f"{pair.labels} is {label_size} pixels but its image {pair.image} is {image_size}")
        labels = np.take(self.lookup, raw, mode="clip")
        outside = labels == OUTSIDE
        if outside.any():
            raise self._unknown_values(pair, raw[outside])
        return labels

    def _unknown_values(self, pair: Pair, unknown: np.ndarray) -> DatasetError:
        values, counts = np.unique(unknown, return_counts=True)
        listed = ", ".join(f"{value} in {count:,}" for value, count in list(zip(values, counts, strict=True))[:3])
        defined = self.lookup[:UNLABELLED]
        classes, ignored = (spans(np.flatnonzero(mask)) for mask in (defined < OUTSIDE, defined == IGNORE))
        known = f"{self.kind} uses {classes} for its classes and {ignored or 'no value'} for unlabelled pixels"
        return DatasetError(f"{pair.labels} holds the value {listed} pixels", advice=known)

    def fingerprint(self, index: int) -> str:
        """The first 16 hex digits of the SHA-256 of an image's height and width (as text) and RGB bytes."""
        image = self.image(index)
        digest = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}".encode())
        digest.update(image.tobytes())
        return digest.hexdigest()[:16]

    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of all images, in order."""
        with ThreadPoolExecutor() as threads:
            return tuple(threads.map(self.fingerprint, range(len(self))))

    def class_shares(self) -> Float64[np.ndarray, "k"]:
        """The share of each class, 0..1, in the pixels with a single class; in a mixture, weighted as it is drawn.

        Raises:
            DatasetError: no pixel has a label.
        """
        counts, indices = self._label_counts(), self.indices_by_source()
        shares = [self.shares.get(name, 1.0) / counts[indices[name]].sum() for name in indices]
        sums = [counts[indices[name], : len(self.classes)].sum(axis=0) for name in indices]
        if not np.any(sums):
            raise DatasetError(f"no pixel of the {len(self)} images of split {self.split!r} has a label")
        if len(sums) == 1:
            return sums[0] / sums[0].sum()
        weighted = (share * pixels for share, pixels in zip(shares, sums, strict=True))
        total = sum(weighted, np.zeros(len(self.classes)))
        return total / total.sum()

    def class_counts(self) -> Int64[np.ndarray, "p k"]:
        """The number of pixels of each class in each image; those labelled with a set of classes are not counted."""
        return self._label_counts()[:, : len(self.classes)]

    def indices_by_source(self) -> dict[str, Int64[np.ndarray, "n"]]:
        """The indices of each source's images; outside a mixture, all of them under an empty name."""
        names = np.array([pair.source for pair in self.pairs])
        return {name: np.flatnonzero(names == name) for name in self.shares or ("",)}

    def _label_counts(self) -> Int64[np.ndarray, "p 256"]:
        with ThreadPoolExecutor() as threads:
            return np.stack(list(threads.map(self._counts_of, range(len(self)))))

    def _counts_of(self, index: int) -> Int64[np.ndarray, "256"]:
        return np.bincount(self.labels(index).ravel(), minlength=256)


def _tones_of(file: Path) -> ToneRange | None:
    try:
        return read_tones(file)
    except ImageError:  # whatever reads the data set says so
        return None


def plain(labels: LabelMap, classes: int) -> LabelMap:
    """A label map in which the labels of sets of classes, `classes` and above, become ignore."""
    return np.where(labels < classes, labels, labels.dtype.type(ignore_value(labels)))


def published_layout(kind: Kind, pairs: tuple[Pair, ...], read: Read = read_values) -> Layout:
    """The layout of a published data set: its pairs, with the classes and raw values of its table."""
    known = read_published(kind)
    return Layout(known.classes, lookup_of(known.raw, known.ignored), pairs, read)


def lookup_of(raw: Iterable[int], ignored: Iterable[int] = (IGNORE,)) -> Lookup:
    """The lookup for the raw values of the classes 0..k-1, in order, and the values that mean no label."""
    raw, ignored = list(raw), list(ignored)
    lookup = np.full(max(255, *raw, *ignored) + 2, OUTSIDE, np.uint8)
    lookup[raw] = range(len(raw))
    lookup[ignored] = IGNORE
    return lookup


def spans(values: np.ndarray) -> str:
    """Whole numbers as text, with runs shortened: 0..10, 255."""
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs if len(run))
