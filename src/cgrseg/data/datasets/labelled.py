"""Images with labels, whatever their layout on disk: the one class that training and evaluation read from.

    label file -- read: the values it stores -- lookup: the class of each value -- checks -- labels 0..k-1, 255

In a mixture of data sets (`cgrseg.data.mixture`) the labels k, k+1, ... stand for sets of classes: a pixel is of one of
them, and nobody said which.

Axes: H W image rows and columns, k classes, p images, v values that a label file may hold.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from cgrseg.classes import ClassTable, read_published
from cgrseg.config import Kind
from cgrseg.data.images import read_image, read_label_map, read_size
from cgrseg.errors import DatasetError
from cgrseg.types import IGNORE, IGNORE_16, Image, LabelMap, ignore_value

OUTSIDE = 254
"""What a lookup gives for values that the data set does not define; so there are at most 254 classes and sets."""

UNLABELLED = IGNORE_16
"""What a reader of shapes or colours gives where nothing is labelled; 16-bit label maps may hold it, too."""

Lookup = UInt8[np.ndarray, "v"]
"""For each value in a label file its class 0..k-1, 255 = ignore, or OUTSIDE; the last stands for all values above."""


@dataclass(frozen=True)
class Pair:
    """One image and its label file."""

    name: str
    image: Path
    labels: Path
    source: str = ""
    """Of a mixture, the data set that it is from."""


Read = Callable[[Pair], LabelMap]
"""From a pair to the values in its label file; worker processes get a copy of it."""


def read_values(pair: Pair) -> LabelMap:
    """The numbers in a label file that is a gray or palette image."""
    return read_label_map(pair.labels)


@dataclass(frozen=True)
class Layout:
    """What the reader of one kind of data set finds below a path, for one split."""

    classes: ClassTable
    lookup: Lookup
    pairs: tuple[Pair, ...]
    read: Read = read_values


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """One split of a data set; images are read when asked for."""

    kind: Kind | Literal["mixture"]
    split: str
    classes: ClassTable
    pairs: tuple[Pair, ...]
    lookup: Lookup
    read: Read = read_values
    expected: int | None = None
    """Number of images of the official release, where there is one."""
    sets: tuple[tuple[int, ...], ...] = ()
    """The label k + i stands for any of the classes `sets[i]`."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of a mixture, the share of each source in what is drawn; they add up to 1."""

    def __len__(self) -> int:
        return len(self.pairs)

    def image(self, index: int) -> Image:
        """The index-th image."""
        return read_image(self.pairs[index].image)

    def labels(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """The index-th label map: 0..k-1, from k on for sets of classes, and 255 where there is no label.

        Raises:
            DatasetError: it holds a value that the data set does not define, or its size is not the image's.
        """
        return self.labels_of(self.pairs[index])

    def plain_labels(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """The index-th label map without sets: 0..k-1, and 255 where there is no label or several are allowed."""
        return plain(self.labels(index), len(self.classes))

    def labels_of(self, pair: Pair) -> UInt8[np.ndarray, "H W"]:
        """The label map of a pair, as `labels` gives it."""
        raw, size = self.read(pair), read_size(pair.image)
        if raw.shape != size:
            theirs, ours = (f"{width} x {height}" for height, width in (raw.shape, size))
            raise DatasetError(f"{pair.labels} is {theirs} pixels but its image {pair.image} is {ours}")
        labels = np.take(self.lookup, raw, mode="clip")
        strange = labels == OUTSIDE
        if strange.any():
            raise DatasetError(self._strange_values(pair, raw, strange))
        return labels

    def _strange_values(self, pair: Pair, raw: LabelMap, strange: np.ndarray) -> str:
        values, counts = np.unique(raw[strange], return_counts=True)
        listed = ", ".join(f"{value} in {count:,}" for value, count in list(zip(values, counts, strict=True))[:3])
        defined = self.lookup[:UNLABELLED]
        classes, ignored = (spans(np.flatnonzero(found)) for found in (defined < OUTSIDE, defined == IGNORE))
        meant = f"{self.kind} has {classes} for classes, {ignored or 'nothing'} for none"
        return f"{pair.labels} holds the value {listed} pixels; {meant}"

    def fingerprint(self, index: int) -> str:
        """The first 16 hex digits of the SHA-256 of the image's height, width (as text) and RGB bytes."""
        image = self.image(index)
        digest = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}".encode())
        digest.update(image.tobytes())
        return digest.hexdigest()[:16]

    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprint of every image, in order."""
        with ThreadPoolExecutor() as threads:
            return tuple(threads.map(self.fingerprint, range(len(self))))

    def class_shares(self) -> Float64[np.ndarray, "k"]:
        """Each class's share of the pixels with one class, of all images; of a mixture, as its sources are drawn."""
        counts, places = self._label_counts(), self.places_by_source()
        shares = [self.shares.get(name, 1.0) / counts[places[name]].sum() for name in places]
        sums = [counts[places[name], : len(self.classes)].sum(axis=0) for name in places]
        if not np.any(sums):
            raise DatasetError(f"no pixel of the {len(self)} images of split {self.split!r} has a label")
        if len(sums) == 1:
            return sums[0] / sums[0].sum()
        total = sum((share * each for share, each in zip(shares, sums, strict=True)), np.zeros(len(self.classes)))
        return total / total.sum()

    def class_counts(self) -> Int64[np.ndarray, "p k"]:
        """The pixels of each class in each image, without those that may be one of several classes."""
        return self._label_counts()[:, : len(self.classes)]

    def places_by_source(self) -> dict[str, Int64[np.ndarray, "n"]]:
        """The indices of each source's images; without a mixture, all of them under an empty name."""
        names = np.array([pair.source for pair in self.pairs])
        return {name: np.flatnonzero(names == name) for name in self.shares or ("",)}

    def _label_counts(self) -> Int64[np.ndarray, "p 256"]:
        with ThreadPoolExecutor() as threads:
            return np.stack(list(threads.map(self._counts_of, range(len(self)))))

    def _counts_of(self, index: int) -> Int64[np.ndarray, "256"]:
        return np.bincount(self.labels(index).ravel(), minlength=256)


def plain(labels: LabelMap, classes: int) -> LabelMap:
    """A label map with sets of classes made into no label."""
    return np.where(labels < classes, labels, labels.dtype.type(ignore_value(labels)))


def published_layout(kind: Kind, pairs: tuple[Pair, ...], read: Read = read_values) -> Layout:
    """The pairs of a published data set with the classes and raw values of its table."""
    known = read_published(kind)
    return Layout(known.classes, lookup_of(known.raw, known.ignored), pairs, read)


def lookup_of(raw: Iterable[int], ignored: Iterable[int] = (IGNORE,)) -> Lookup:
    """The lookup for the value in a label file of each class in turn, and the values that mean no label."""
    raw, ignored = list(raw), list(ignored)
    lookup = np.full(max(255, *raw, *ignored) + 2, OUTSIDE, np.uint8)
    lookup[raw] = range(len(raw))
    lookup[ignored] = IGNORE
    return lookup


def root_of(path: Path, *names: str) -> Path:
    """The folder of a data set: the first of these below `path` that is there, else `path` itself."""
    return next((path / name for name in names if (path / name).is_dir()), path)


def folder_of(folders: dict[str, str], split: str, kind: Kind) -> str:
    """The name that an official release gives a split.

    Raises:
        DatasetError: it has no such split with labels.
    """
    if split not in folders:
        raise DatasetError(f"{kind} has no split {split!r} with labels", advice=f"it has {', '.join(folders)}")
    return folders[split]


def listed(listing: Path, layout: str) -> list[str]:
    """The names in a list of images: the first word of each line.

    Raises:
        DatasetError: there is no such list.
    """
    if not listing.is_file():
        raise DatasetError(f"{listing}: no such list", advice=layout)
    lines = (line.split() for line in listing.read_text(encoding="utf-8").splitlines())
    return [words[0] for words in lines if words]


def paired(names: Iterable[str], images: dict[str, Path], labels: dict[str, Path], where: str) -> tuple[Pair, ...]:
    """Pair images and label files by name; `where` is what errors call the lot.

    Raises:
        DatasetError: an image or a label file is missing, or there are no names.
    """
    names = list(names)
    if not names:
        raise DatasetError(f"{where} holds no images")
    for what, files in (("image", images), ("label file", labels)):
        missing = [name for name in names if name not in files]
        if missing:
            first = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise DatasetError(f"{where}: {len(missing)} of {len(names)} have no {what}: {first}")
    return tuple(Pair(name, images[name], labels[name]) for name in names)


def files_by_stem(folder: Path, endings: tuple[str, ...], layout: str) -> dict[str, Path]:
    """The files of a folder by name without ending; `layout` tells a user whose folder is missing what it should be."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder", advice=layout)
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        ending = next((ending for ending in endings if file.name.lower().endswith(ending.lower())), None)
        if ending is None or file.name.startswith("."):
            continue
        stem = file.name[: -len(ending)]
        if stem in files:
            raise DatasetError(f"{folder} holds both {files[stem].name} and {file.name}", advice="keep one of them")
        files[stem] = file
    return files


def spans(values: np.ndarray) -> str:
    """Whole numbers as text, runs shortened: 0..10, 255."""
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs if len(run))
