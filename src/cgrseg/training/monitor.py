"""Monitoring of a run: throughput, and warnings that are given once.

batches ----------- classes without a pixel in the first epoch
throughput -------- a loader slower than the network
disk -------------- no room for the next checkpoint
processor --------- arithmetic that it only emulates
"""

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from cgrseg.config import Recipe, TrainConfig
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.loader import Batch
from cgrseg.training.checkpoint import is_disk_nearly_full
from cgrseg.training.events import Stepped, Warned
from cgrseg.training.precision import relative_cost
from cgrseg.types import IGNORE

WARMUP_STEPS = 50
"""Steps before the throughput is judged."""
SLOW_LOADER = 0.25
"""Share of the time spent waiting for images above which a warning is given."""
SLOW_ARITHMETIC = 1.5
"""Cost of a precision, as a multiple of fp32, above which a warning is given."""


class Throughput:
    """Images per second and the share of the time spent waiting for images, smoothed over the last steps."""

    def __init__(self, config: TrainConfig) -> None:
        self.batch_size = config.batch_size
        self.seconds = self.waited = 0.0
        self.last = time.perf_counter()
        self.arrived = self.last

    def data_ready(self) -> None:
        """Record that a batch has arrived."""
        self.arrived = time.perf_counter()

    def step_done(self) -> tuple[float, float]:
        """Record the end of a step; returns images per second and the share of the time spent waiting, 0..1."""
        now = time.perf_counter()
        keep = 0.9 if self.seconds else 0.0
        self.waited = keep * self.waited + (1 - keep) * (self.arrived - self.last)
        self.seconds = keep * self.seconds + (1 - keep) * (now - self.last)
        self.last = now
        return self.batch_size / self.seconds, self.waited / self.seconds

    def pause_done(self) -> None:
        """Record the end of an evaluation, whose time does not count."""
        self.last = time.perf_counter()


class Monitor:
    """Warns, once for each reason, of what looks wrong in one process's run."""

    def __init__(self, recipe: Recipe, images: LabelledImages) -> None:
        self.recipe, self.classes, self.images = recipe, images.classes.names, len(images)
        self.counts: Int64[Tensor, " n"] = torch.zeros(IGNORE + 1, dtype=torch.int64)
        self.steps = 0
        self.warned = set[str]()

    def after_step(self, batch: Batch, stepped: Stepped) -> Iterator[Warned]:
        """Check the loader and the classes after a step."""
        self.counts += torch.bincount(batch.labels.flatten(), minlength=len(self.counts))
        self.steps += 1
        if self.steps == WARMUP_STEPS and stepped.data_share > SLOW_LOADER:
            yield from self._warn_once("loader", stepped.step, self._slow_loader(stepped))
        if self.steps * len(batch.names) >= self.images:
            unseen = [name for name, count in zip(self.classes, self.counts, strict=False) if not count]
            if unseen:
                yield from self._warn_once("classes", stepped.step, self._unseen(unseen))
            self.warned.add("classes")

    def check_processor(self, device: str, step: int) -> Iterator[Warned]:
        """Check that the processor is not slow in the recipe's precision; takes a second at most, nothing for fp32."""
        precision = self.recipe.train.precision
        if device == "cpu" and precision != "fp32" and (cost := relative_cost(precision)) > SLOW_ARITHMETIC:
            sentence = (
                f"this processor takes {cost:.1f} x as long for a matrix product in {precision} as in fp32, so steps "
                "are slow; use train.precision=fp32, or auto, which picks the faster one"
            )
            yield from self._warn_once("processor", step, sentence)

    def check_disk(self, states: Path, step: int) -> Iterator[Warned]:
        """Check that the next checkpoint fits on the disk."""
        if is_disk_nearly_full(states):
            sentence = f"the disk of {states} is nearly full: the next checkpoint may not fit, which would stop the run"
            yield from self._warn_once("disk", step, sentence)

    def _warn_once(self, reason: str, step: int, sentence: str) -> Iterator[Warned]:
        if reason not in self.warned:
            self.warned.add(reason)
            yield Warned(step=step, sentence=sentence)

    def _slow_loader(self, stepped: Stepped) -> str:
        possible = stepped.pictures_per_s / max(1 - stepped.data_share, 0.01)
        workers = self.recipe.data.workers
        return (
            f"the network waits for images {100 * stepped.data_share:.0f} % of the time: "
            f"{stepped.pictures_per_s:.1f} images/s arrive, it could process {possible:.1f}; if cores are idle "
            f"set data.workers={2 * workers or 2} (now {workers}), otherwise store smaller images"
        )

    def _unseen(self, names: list[str]) -> str:
        return (
            f"no pixel of {', '.join(names)} in the first epoch of {self.images} images: the network cannot learn "
            "such a class; cgrseg data check counts how often each occurs"
        )
