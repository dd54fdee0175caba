"""What a run notices about itself and says once, while it goes on.

a batch after another -- classes seen ------ a class that never came
the pace ----------------------------------- a loader slower than the network
the disk ----------------------------------- no room for the next state
the processor ------------------------------ arithmetic that it only emulates
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from cgrseg.config import Recipe
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.loader import Batch
from cgrseg.training.checkpoint import is_short_of_room
from cgrseg.training.loggers import Stepped, Warned
from cgrseg.training.precision import cost_of
from cgrseg.types import IGNORE

SETTLED = 50
"""Steps after which the pace is known."""
SLOW = 0.25
"""The share of the time spent waiting for images that is worth a word."""
DEAR = 1.5
"""An arithmetic that takes so many times as long as fp32 is worth a word."""


class Guards:
    """Watches one process's run."""

    def __init__(self, recipe: Recipe, images: LabelledImages) -> None:
        self.recipe, self.classes, self.images = recipe, images.classes.names, len(images)
        self.counts: Int64[Tensor, " n"] = torch.zeros(IGNORE + 1, dtype=torch.int64)
        self.steps = 0
        self.said = set[str]()

    def look(self, batch: Batch, stepped: Stepped) -> Iterator[Warned]:
        """What is new after a step."""
        self.counts += torch.bincount(batch.labels.flatten(), minlength=len(self.counts))
        self.steps += 1
        if self.steps == SETTLED and stepped.data_share > SLOW:
            yield from self._once("loader", stepped.step, self._slow_loader(stepped))
        if self.steps * len(batch.names) >= self.images:
            unseen = [name for name, count in zip(self.classes, self.counts, strict=False) if not count]
            if unseen:
                yield from self._once("classes", stepped.step, self._unseen(unseen))
            self.said.add("classes")

    def look_at_processor(self, device: str, step: int) -> Iterator[Warned]:
        """Whether it is slow in the recipe's arithmetic; measured, in a second at most, where that is not fp32."""
        precision = self.recipe.train.precision
        if device == "cpu" and precision != "fp32" and (cost := cost_of(precision)) > DEAR:
            sentence = (
                f"a product of matrices takes this processor {cost:.1f} x as long in {precision} as in fp32, so steps "
                "are slow; start the run with train.precision=fp32, or with auto, which takes the faster"
            )
            yield from self._once("processor", step, sentence)

    def look_at_disk(self, states: Path, step: int) -> Iterator[Warned]:
        """Whether the next state fits."""
        if is_short_of_room(states):
            sentence = f"the disk of {states} is nearly full: the next state may not fit, and the run would stop there"
            yield from self._once("disk", step, sentence)

    def _once(self, about: str, step: int, sentence: str) -> Iterator[Warned]:
        if about not in self.said:
            self.said.add(about)
            yield Warned(step=step, sentence=sentence)

    def _slow_loader(self, stepped: Stepped) -> str:
        able = stepped.pictures_per_s / max(1 - stepped.data_share, 0.01)
        workers = self.recipe.data.workers
        return (
            f"the network waits for images {100 * stepped.data_share:.0f} % of the time: "
            f"{stepped.pictures_per_s:.1f} a second arrive, it could take {able:.1f}; where cores are idle "
            f"set data.workers={2 * workers or 2} (now {workers}), else store smaller images"
        )

    def _unseen(self, names: list[str]) -> str:
        return (
            f"no pixel of {', '.join(names)} in a first pass over {self.images} images: the network cannot learn "
            "such a class; cgrseg data check tells how often each occurs"
        )
