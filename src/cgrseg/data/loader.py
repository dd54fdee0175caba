"""Training batches, prepared by worker processes, and the order in which images are drawn for them.

    step, position in the batch -> number of the draw -> image -> transforms -> batch

    number of the draw -- source, by its share in blocks of 1,000 draws; its earlier draws are counted
                       -- pass over the images of the source, position in the pass -- image

All randomness is a function of (seed, step, position), so a batch is the same for any number of workers, and a run
resumes by starting at a later step. A pass shows every image once, or more often if it holds a rare class.

Axes: b batch, H W crop rows and columns, p images, n images of a source, m entries of a pass, k classes.
"""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cgrseg.config import DataConfig
from cgrseg.data.datasets.labelled import LabelledImages
from cgrseg.data.transforms import train_sample
from cgrseg.errors import CGRSegError, TrainingError, reason
from cgrseg.machine import free_shared_memory
from cgrseg.types import Image, Size

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


CACHE_BYTES = 512 * 2**20
"""Each worker caches decoded images if all of them fit in this: decoding a PNG costs as much as the transforms."""

PREFETCH = 2
"""Batches that each worker prepares ahead."""

BYTES_PER_PIXEL = 13
"""Of a batch: three floats, and a label."""

SHARED_MEMORY = "set data.workers=0, or start the container with more (docker run --shm-size=2g)"
"""The advice where /dev/shm is small, as the 64 MiB of Docker are."""

CROPS = 2**31 + 1
"""The number of a random stream that no position in a batch uses."""


@dataclass(frozen=True)
class Batch:
    """The images and labels of one training step."""

    step: int
    images: Float32[Tensor, "b 3 H W"]
    labels: UInt8[Tensor, "b H W"]
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Share:
    """The samples that one process reads: of several processes, each reads some positions of every batch."""

    batch_size: int
    """The number of images per step of all processes together."""
    seed: int
    steps: range
    positions: slice = field(default_factory=lambda: slice(None))
    """The positions in the batch that this process reads."""


def training_batches(
    dataset: LabelledImages,
    config: DataConfig,
    share: Share,
    factors: Float64[np.ndarray, "p"] | None = None,
) -> Iterator[Batch]:
    """Yield the batches of a range of steps in order.

    Args:
        dataset: the images and labels.
        config: the transforms, and the number of worker processes.
        share: which samples of which steps.
        factors: how often each image comes in a pass, from `repeat_factors`; once unless given.

    Raises:
        ImageError, DatasetError: an image or its labels cannot be read; the message names the file.
        TrainingError: a worker process died, or shared memory is too small for them.
    """
    require_shared_memory(config, share)
    steps = DataLoader(
        _Steps(dataset, config, share, DrawOrder(dataset, share.seed, factors)),
        batch_size=None,
        sampler=share.steps,
        num_workers=config.workers,
        prefetch_factor=PREFETCH if config.workers else None,
        worker_init_fn=_begin_worker,
        generator=torch.Generator(),  # its own, so that the loader leaves the global random state alone
    )
    try:
        for batch in steps:
            if isinstance(batch, CGRSegError):
                raise batch
            yield batch
    except RuntimeError as error:
        # PyTorch has no exception type for a worker that died.
        if "DataLoader worker" not in str(error) and "shared memory" not in str(error):
            raise
        raise _died(error, config.workers) from None


def require_shared_memory(config: DataConfig, share: Share) -> None:
    """Require that the batches in the hands of the worker processes fit into /dev/shm.

    Raises:
        TrainingError: they do not; a write to it would kill the process with a bus error.
    """
    free = free_shared_memory() if config.workers else None
    images = len(range(share.batch_size)[share.positions])
    pixels = max(height * width for height, width in config.crops_px)
    needed = (config.workers * PREFETCH + 1) * images * pixels * BYTES_PER_PIXEL
    if free is not None and free < needed:
        raise TrainingError(
            f"the shared memory /dev/shm has {free / 2**20:,.0f} MiB free, and the batches of data.workers="
            f"{config.workers} take {needed / 2**20:,.0f} MiB",
            advice=SHARED_MEMORY,
            setting="data.workers",
        )


def _died(error: RuntimeError, workers: int) -> TrainingError:
    """The error about a worker process that PyTorch found dead."""
    words = str(error).lower()
    problem = f"a process that prepares images died: {reason(error)}"
    if any(word in words for word in ("bus error", "shared memory", "shm", "no space left")):
        return TrainingError(
            problem, advice=f"the shared memory /dev/shm is too small: {SHARED_MEMORY}", setting="data.workers"
        )
    return TrainingError(problem, advice=f"memory may be short: try fewer data.workers (now {workers})")


def _begin_worker(worker: int) -> None:  # noqa: ARG001  the signature is torch's
    """Use one thread, and leave a Ctrl-C, which the terminal sends to all processes, to the training process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Steps(Dataset):
    """The batches of the run, indexed by step."""

    def __init__(self, dataset: LabelledImages, config: DataConfig, share: Share, order: DrawOrder) -> None:
        self.dataset = dataset
        self.config = config
        self.share = share
        self.order = order
        self.cache: dict[int, tuple[Image, UInt8[np.ndarray, "H W"]]] = {}

    def __getitem__(self, step: int) -> Batch | CGRSegError:
        """Errors of the user are returned: PyTorch would wrap a raised one in the traceback of the worker."""
        try:
            return self._batch(step)
        except CGRSegError as error:
            return error

    def _batch(self, step: int) -> Batch:
        size = self.share.batch_size
        crop_px = draw_crop(self.config, self.share.seed, step)
        indices = [(i, self.order[step * size + i]) for i in range(size)[self.share.positions]]
        samples = [self._sample(index, crop_px, step, i) for i, index in indices]
        images, labels = (torch.from_numpy(np.stack(arrays)) for arrays in zip(*samples, strict=True))
        return Batch(step, images, labels, tuple(self.dataset.pairs[index].name for _, index in indices))

    def _sample(
        self, index: int, crop_px: Size, step: int, i: int
    ) -> tuple[Float32[np.ndarray, "3 H W"], UInt8[np.ndarray, "H W"]]:
        try:
            image, labels = self._decoded(index)
            return train_sample(image, labels, self.config, crop_px, np.random.default_rng((self.share.seed, step, i)))
        except Exception as error:
            error.add_note(f"while preparing {self.dataset.pairs[index].image} for step {step}")
            raise

    def _decoded(self, index: int) -> tuple[Image, UInt8[np.ndarray, "H W"]]:
        if index in self.cache:
            return self.cache[index]
        image, labels = self.dataset.image(index), self.dataset.labels(index)
        if (image.nbytes + labels.nbytes) * len(self.dataset) <= CACHE_BYTES:
            self.cache[index] = image, labels
        return image, labels


def draw_crop(config: DataConfig, seed: int, step: int) -> Size:
    """The crop size of all images of a step."""
    return config.crops_px[int(np.random.default_rng((seed, step, CROPS)).integers(len(config.crops_px)))]
