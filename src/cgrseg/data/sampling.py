"""Which image comes when: each is drawn by its number in the run, so a run resumes by starting at a later number.

    number -- source: in blocks of 1,000 draws, by its share -- how many draws of this source came before
           -- pass over the source's images, and place in it -- image

A pass shows every image once, or more often where it holds a rare class.

Axes: p images, n images of a source, m entries of a pass, k classes.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

from cgrseg.data.datasets.labelled import LabelledImages

BLOCK = 1_000
"""Draws in which each source comes as often as its share says."""
MOST_REPEATS = 8.0
"""So many times as often as others an image with a rare class comes at most."""
ORDERS, SOURCES = 2**31, 2**31 + 2
"""Random streams beside those of the places in a batch."""


def repeat_factors(dataset: LabelledImages, threshold: float) -> Float64[np.ndarray, "p"]:
    """How often each image is to come in a pass, 1 to 8: sqrt(threshold / share of images) of its rarest class.

    It reads all labels. The share is that of the images as they are drawn, with this class as the only one allowed
    (repeat factor sampling: Gupta, Dollár and Girshick, LVIS, CVPR 2019).
    """
    is_there = dataset.class_counts() > 0
    shares = sum(
        dataset.shares.get(name, 1.0) * is_there[places].mean(axis=0)
        for name, places in dataset.places_by_source().items()
    )
    by_class = np.sqrt(threshold / np.maximum(shares, 1e-12)).clip(1.0, MOST_REPEATS)
    return np.where(is_there, by_class, 1.0).max(axis=1)


class DrawOrder:
    """The image of every draw of a run."""

    def __init__(self, dataset: LabelledImages, seed: int, factors: Float64[np.ndarray, "p"] | None = None) -> None:
        """For each image, `factors` says how often it comes in a pass; once unless given."""
        self.seed, self.shares = seed, tuple(dataset.shares.values()) or (1.0,)
        factors = np.ones(len(dataset)) if factors is None else factors
        self.images = list(dataset.places_by_source().values())
        streams = [(place,) for place in range(len(self.images))] if dataset.shares else [()]
        self.passes = [
            _Passes(factors[images], seed, stream) for images, stream in zip(self.images, streams, strict=True)
        ]

    def __getitem__(self, number: int) -> int:
        """The index of the image that is drawn as the number-th of the run."""
        source, rank = _source_of(number, self.shares, self.seed)
        return int(self.images[source][self.passes[source][rank]])


class _Passes:
    """Places among the images of one source, pass after pass, each in an order of its own."""

    def __init__(self, factors: Float64[np.ndarray, "n"], seed: int, stream: tuple[int, ...]) -> None:
        self.whole, self.parts = np.floor(factors).astype(np.int64), factors % 1
        self.seed, self.stream = seed, stream
        self.extra = int(self.parts.sum() + 1e-6)
        self.length = int(self.whole.sum()) + self.extra
        self.order = lru_cache(maxsize=2)(self._order)

    def __getitem__(self, rank: int) -> int:
        epoch, place = divmod(rank, self.length)
        return int(self.order(epoch)[place])

    def __reduce__(self) -> tuple:
        return _Passes, (self.whole + self.parts, self.seed, self.stream)

    def _order(self, epoch: int) -> Int64[np.ndarray, "m"]:
        rng = np.random.default_rng((self.seed, epoch, ORDERS, *self.stream))
        if not self.extra and self.length == len(self.whole):
            return rng.permutation(self.length)
        return rng.permutation(np.repeat(np.arange(len(self.whole)), self.whole + self._extras(rng)))

    def _extras(self, rng: np.random.Generator) -> Int64[np.ndarray, "n"]:
        """Which images come once more in a pass: as many as in every other, by systematic resampling."""
        if not self.extra:
            return np.zeros(len(self.whole), np.int64)
        marks = np.floor(np.cumsum(self.parts) * (self.extra / self.parts.sum()) + rng.random())
        marks[-1] = self.extra  # whatever the rounding
        return np.diff(np.minimum(marks, self.extra), prepend=0).astype(np.int64)


def _source_of(number: int, shares: Sequence[float], seed: int) -> tuple[int, int]:
    """The source of a draw, and how many draws of this source came before."""
    if len(shares) == 1:
        return 0, number
    block, place = divmod(number, BLOCK)
    counts = _counts(tuple(shares))
    sources, before = _block(counts, seed, block)
    source = int(sources[place])
    return source, block * counts[source] + int(before[place])


@lru_cache(maxsize=2)
def _counts(shares: tuple[float, ...]) -> tuple[int, ...]:
    """Draws of each source in a block, by the largest remainder."""
    wanted = np.array(shares) * BLOCK
    counts = np.floor(wanted).astype(np.int64)
    last = np.argsort(counts - wanted, kind="stable")[: BLOCK - counts.sum()]
    counts[last] += 1
    return tuple(counts.tolist())


@lru_cache(maxsize=4)
def _block(counts: tuple[int, ...], seed: int, block: int) -> tuple[Int64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
    """The source of each draw in a block, and how many of the same source come before it there."""
    sources = np.random.default_rng((seed, block, SOURCES)).permutation(np.repeat(np.arange(len(counts)), counts))
    before = np.zeros(BLOCK, np.int64)
    for source, count in enumerate(counts):
        before[sources == source] = np.arange(count)
    return sources, before
