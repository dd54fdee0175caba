"""Training batches, prepared by worker processes.

    step, position in the batch -> number of the draw -> image (`sampling`) -> transforms -> batch

All randomness is a function of (seed, step, position), so a batch is the same for any number of workers, and a run
resumes by starting at a later step.

Axes: b batch, H W crop rows and columns, p images.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cgrseg.config import DataConfig
from cgrseg.data.datasets.labelled import LabelledImages
from cgrseg.data.sampling import DrawOrder
from cgrseg.data.transforms import train_sample
from cgrseg.errors import CGRSegError, TrainingError, reason
from cgrseg.types import Image, Size

CACHE_BYTES = 512 * 2**20
"""Each worker caches decoded images if all of them fit in this: decoding a PNG costs as much as the transforms."""

PREFETCH = 2
"""Batches that each worker prepares ahead."""

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
        TrainingError: a worker process died.
    """
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
        if "DataLoader worker" not in str(error):  # PyTorch has no exception type for a worker that died
            raise
        raise TrainingError(
            f"a process that prepares images died: {reason(error)}",
            advice=f"memory may be short: try fewer data.workers (now {config.workers})",
        ) from None


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
