"""One optimizer step, in one process or many, on one batch or several that count as one.

    labels -- labelled weight of all processes -+
    images -- network -- loss of this part ---+-- gradient, added up -- averaged -- guards -- clip -- AdamW -- average

Axes: b batch, k classes, H W crop rows and columns.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.config import TrainConfig
from cgrseg.data.loader import Batch
from cgrseg.errors import TrainingError
from cgrseg.training.checkpoint import TrainState
from cgrseg.training.distributed import World
from cgrseg.training.losses import Sets, segmentation_loss, weight_of
from cgrseg.training.optim import set_rate
from cgrseg.training.precision import PRECISIONS

MOST_SKIPPED = 10
"""Steps in a row that may teach nothing before the run stops."""


@dataclass(frozen=True)
class Taken:
    """What one step did."""

    loss: float
    """Mean over the labelled pixels of all processes."""
    lr: float
    gradient: float
    """Norm of the gradient before clipping."""
    skipped: str = ""
    """Why nothing was learnt; empty where something was."""


class Stepper:
    """Takes the optimizer steps of a run."""

    def __init__(
        self, state: TrainState, config: TrainConfig, world: World, weights: Float[Tensor, " 256"], sets: Sets = ()
    ) -> None:
        self.state, self.config, self.world = state, config, world
        self.weights, self.sets = weights.to(world.device), sets
        self.network: nn.Module = world.share(state.model)
        if config.compile:
            self.network = torch.compile(self.network, dynamic=False)  # type: ignore[assignment]
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format

    def take(self, batch: Batch) -> Taken:
        """One step on this process's part of a batch.

        Raises:
            TrainingError: loss or gradient is not finite and the recipe says to stop, or too often to go on.
        """
        state, config = self.state, self.config
        rate = set_rate(state.optimizer, batch.step, config)
        labels = batch.labels.to(self.world.device)
        total = self.world.sum(weight_of(labels, self.weights))
        if total == 0:
            return self._skipped(batch, Taken(0.0, rate, 0.0, "no pixel of the batch has a label"))
        statistics = [buffer.clone() for buffer in state.model.buffers()]
        loss, gradient = self._gradient(batch, total)
        taken = Taken(loss, rate, gradient, self._problem(loss, gradient))
        if taken.skipped:
            for buffer, before in zip(state.model.buffers(), statistics, strict=True):
                buffer.copy_(before)
            state.scaler.update()
            return self._skipped(batch, taken)
        if config.clip_norm is not None:
            norm = torch.tensor(gradient, device=self.world.device)
            nn.utils.clip_grads_with_norm_(state.model.parameters(), config.clip_norm, norm)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        if state.average:
            state.average.update(state.model, batch.step)
        state.progress.step, state.progress.skipped = batch.step + 1, 0
        return taken

    def _gradient(self, batch: Batch, total: Float[Tensor, ""]) -> tuple[float, float]:
        """Leave the gradient in the parameters; gives loss and norm, which are those of all processes."""
        state, world = self.state, self.world
        torch.manual_seed(_seed(self.config.seed, batch.step, world.rank))
        state.model.train()
        state.optimizer.zero_grad(set_to_none=True)
        parts = _parts(batch, self.config.accumulate)
        loss = torch.zeros((), device=world.device)
        for place, (images, labels) in enumerate(parts, 1):
            with world.without_exchange(self.network, when=place < len(parts)):
                part = self._loss(images, labels, total)
                # The processes' gradients are averaged, but `total` already counts all of their pixels.
                state.scaler.scale(part * world.size).backward()
            loss += part.detach()
        state.scaler.unscale_(state.optimizer)
        gradients = [parameter.grad for parameter in state.model.parameters() if parameter.grad is not None]
        return float(world.sum(loss)), float(nn.utils.get_total_norm(gradients))

    def _loss(self, images: Float[Tensor, "b 3 H W"], labels: Tensor, total: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """This part's share of the loss, in the recipe's precision and memory layout."""
        device, kind = self.world.device, PRECISIONS[self.config.precision]
        images = images.to(device, memory_format=self.layout)
        with torch.autocast(device.type, kind) if kind != torch.float32 else nullcontext():
            logits = self.network(images)
        return segmentation_loss(
            logits, labels.to(device), self.weights, total, sets=self.sets, lovasz=self.config.lovasz
        )

    def _problem(self, loss: float, gradient: float) -> str:
        if math.isfinite(loss) and math.isfinite(gradient):
            return ""
        if math.isfinite(loss) and self.state.scaler.is_enabled():
            return f"the gradient overflows in fp16; its scale was {self.state.scaler.get_scale():g} and is halved"
        return f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient is {gradient}"

    def _skipped(self, batch: Batch, taken: Taken) -> Taken:
        """A step that teaches nothing, unless that is what ends the run."""
        progress, names = self.state.progress, ", ".join(batch.names)
        self.state.optimizer.zero_grad(set_to_none=True)
        is_broken = taken.gradient != 0 and not self.state.scaler.is_enabled()
        if is_broken and self.config.nonfinite == "stop":
            raise TrainingError(
                f"{taken.skipped} at step {batch.step}, on {names}; nothing was overwritten",
                advice=(
                    "try a smaller train.lr or train.clip_norm=1, or pass such steps over with train.nonfinite=skip"
                ),
            )
        progress.skipped += 1
        if progress.skipped > MOST_SKIPPED:
            raise TrainingError(
                f"{progress.skipped} steps in a row taught nothing, the last at step {batch.step}, on "
                f"{names}: {taken.skipped}",
                advice="look at these images with cgrseg data check, or try a smaller train.lr",
            )
        progress.step = batch.step + 1
        return taken


def _seed(seed: int, step: int, rank: int) -> int:
    """Of what is random in the network (dropout) at a step in a process."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])


def _parts(batch: Batch, count: int) -> list[tuple[Float[Tensor, "b 3 H W"], Tensor]]:
    """The batch in equal parts."""
    return list(zip(batch.images.chunk(count), batch.labels.chunk(count), strict=True))
