"""The order in which training draws images, as a function of the number of the draw.

    number of the draw -- source, by its share in blocks of 1,000 draws; its earlier draws are counted
                       -- pass over the source's images, position in the pass -- image

A run resumes by starting at a later number. A pass shows every image once, or more often if it holds a rare class.

Axes: p images, n images of a source, m entries of a pass, k classes.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

from cgrseg.data.datasets.labelled import LabelledImages

BLOCK = 1_000
"""Number of draws after which every source has been drawn in proportion to its share."""
MOST_REPEATS = 8.0
"""Largest number of times that an image comes in a pass on average."""
ORDERS, SOURCES = 2**31, 2**31 + 2
"""Numbers of random streams that no position in a batch uses."""


def repeat_factors(dataset: LabelledImages, threshold: float) -> Float64[np.ndarray, "p"]:
    """How often each image comes in a pass, 1 to 8: sqrt(threshold / share of images) of its rarest class.

    This is repeat factor sampling (Gupta, Dollár and Girshick, LVIS, CVPR 2019). All label files are read. The share of
    a class is that of the images with a pixel of this class alone, weighted as the sources are drawn.
    """
    is_there = dataset.class_counts() > 0
    shares = sum(
        dataset.shares.get(name, 1.0) * is_there[indices].mean(axis=0)
        for name, indices in dataset.indices_by_source().items()
    )
    by_class = np.sqrt(threshold / np.maximum(shares, 1e-12)).clip(1.0, MOST_REPEATS)
    return np.where(is_there, by_class, 1.0).max(axis=1)


class DrawOrder:
    """The index of the image of every draw of a run."""

    def __init__(self, dataset: LabelledImages, seed: int, factors: Float64[np.ndarray, "p"] | None = None) -> None:
        """`factors` says how often each image comes in a pass; once unless given."""
        self.seed, self.shares = seed, tuple(dataset.shares.values()) or (1.0,)
        factors = np.ones(len(dataset)) if factors is None else factors
        self.images = list(dataset.indices_by_source().values())
        streams = [(source,) for source in range(len(self.images))] if dataset.shares else [()]
        self.passes = [
            _Passes(factors[images], seed, stream) for images, stream in zip(self.images, streams, strict=True)
        ]

    def __getitem__(self, number: int) -> int:
        """The index of the image of the draw `number`, counted from 0."""
        source, rank = _source_of(number, self.shares, self.seed)
        return int(self.images[source][self.passes[source][rank]])


class _Passes:
    """Positions among the images of one source, pass after pass, each in a random order of its own."""

    def __init__(self, factors: Float64[np.ndarray, "n"], seed: int, stream: tuple[int, ...]) -> None:
        self.whole, self.parts = np.floor(factors).astype(np.int64), factors % 1
        self.seed, self.stream = seed, stream
        self.extra = int(self.parts.sum() + 1e-6)
        self.length = int(self.whole.sum()) + self.extra
        self.order = lru_cache(maxsize=2)(self._order)

    def __getitem__(self, rank: int) -> int:
        epoch, position = divmod(rank, self.length)
        return int(self.order(epoch)[position])

    def __reduce__(self) -> tuple:
        return _Passes, (self.whole + self.parts, self.seed, self.stream)

    def _order(self, epoch: int) -> Int64[np.ndarray, "m"]:
        rng = np.random.default_rng((self.seed, epoch, ORDERS, *self.stream))
        if not self.extra and self.length == len(self.whole):
            return rng.permutation(self.length)
        return rng.permutation(np.repeat(np.arange(len(self.whole)), self.whole + self._extras(rng)))

    def _extras(self, rng: np.random.Generator) -> Int64[np.ndarray, "n"]:
        """1 for images that come once more in this pass, by systematic resampling: the same number in every pass."""
        if not self.extra:
            return np.zeros(len(self.whole), np.int64)
        marks = np.floor(np.cumsum(self.parts) * (self.extra / self.parts.sum()) + rng.random())
        marks[-1] = self.extra  # exactly, despite rounding
        return np.diff(np.minimum(marks, self.extra), prepend=0).astype(np.int64)


def _source_of(number: int, shares: Sequence[float], seed: int) -> tuple[int, int]:
    """The source of a draw, and the number of earlier draws from it."""
    if len(shares) == 1:
        return 0, number
    block, position = divmod(number, BLOCK)
    counts = _counts(tuple(shares))
    sources, before = _block(counts, seed, block)
    source = int(sources[position])
    return source, block * counts[source] + int(before[position])


@lru_cache(maxsize=2)
def _counts(shares: tuple[float, ...]) -> tuple[int, ...]:
    """The number of draws from each source in a block, by the largest remainder method."""
    wanted = np.array(shares) * BLOCK
    counts = np.floor(wanted).astype(np.int64)
    last = np.argsort(counts - wanted, kind="stable")[: BLOCK - counts.sum()]
    counts[last] += 1
    return tuple(counts.tolist())


@lru_cache(maxsize=4)
def _block(counts: tuple[int, ...], seed: int, block: int) -> tuple[Int64[np.ndarray, "m"], Int64[np.ndarray, "m"]]:
    """The source of each draw in a block, and the number of earlier draws from it in the block."""
    sources = np.random.default_rng((seed, block, SOURCES)).permutation(np.repeat(np.arange(len(counts)), counts))
    before = np.zeros(BLOCK, np.int64)
    for source, count in enumerate(counts):
        before[sources == source] = np.arange(count)
    return sources, before
