"""One optimizer step, in one process or several, on a batch or on several parts that accumulate.

    labels -- total weight, all-reduced -------+
    images -- network -- loss of each part ----+-- gradient: accumulated, averaged by DDP
                                               -- finite? -- clip -- AdamW -- moving average

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
from cgrseg.training.distributed import Processes
from cgrseg.training.losses import Sets, segmentation_loss, total_weight
from cgrseg.training.optim import set_rate
from cgrseg.training.precision import PRECISIONS

MOST_SKIPPED = 10
"""Consecutive steps that may be skipped before the run stops."""


@dataclass(frozen=True)
class StepResult:
    """Loss, learning rate and gradient norm of one step."""

    loss: float
    """Mean over the labelled pixels of all processes."""
    lr: float
    gradient: float
    """Norm of the gradient before clipping."""
    skipped: str = ""
    """Why the step was skipped; empty if it was not."""


class Stepper:
    """Takes the optimizer steps of a run.

    Args:
        state: updated by every step.
        config: of the training.
        processes: of the run.
        weights: weight of each label in the loss.
        sets: the classes that each label from the number of classes on stands for.
    """

    def __init__(
        self,
        state: TrainState,
        config: TrainConfig,
        processes: Processes,
        weights: Float[Tensor, " 256"],
        sets: Sets = (),
    ) -> None:
        self.state, self.config, self.processes = state, config, processes
        self.weights, self.sets = weights.to(processes.device), sets
        self.network: nn.Module = processes.wrap(state.model)
        if config.compile:
            self.network = torch.compile(self.network, dynamic=False)  # type: ignore[assignment]
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format

    def step(self, batch: Batch) -> StepResult:
        """Take one step on this process's shard of a batch.

        Raises:
            TrainingError: the loss or the gradient is not finite and `train.nonfinite` is `stop`, or more than
                `MOST_SKIPPED` consecutive steps were skipped.
        """
        state, config = self.state, self.config
        rate = set_rate(state.optimizer, batch.step, config)
        labels = batch.labels.to(self.processes.device)
        total = self.processes.all_reduce(total_weight(labels, self.weights))
        if total == 0:
            return self._skip(batch, StepResult(0.0, rate, 0.0, "no pixel of the batch has a label"))
        statistics = [buffer.clone() for buffer in state.model.buffers()]
        loss, gradient = self._gradient(batch, total)
        result = StepResult(loss, rate, gradient, self._problem(loss, gradient))
        if result.skipped:
            for buffer, before in zip(state.model.buffers(), statistics, strict=True):
                buffer.copy_(before)
            state.scaler.update()
            return self._skip(batch, result)
        if config.clip_norm is not None:
            norm = torch.tensor(gradient, device=self.processes.device)
            nn.utils.clip_grads_with_norm_(state.model.parameters(), config.clip_norm, norm)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        if state.average:
            state.average.update(state.model, batch.step)
        state.progress.step, state.progress.skipped = batch.step + 1, 0
        return result

    def _gradient(self, batch: Batch, total: Float[Tensor, ""]) -> tuple[float, float]:
        """Compute the gradient into the parameters; returns the loss and the gradient norm over all processes."""
        state, processes = self.state, self.processes
        torch.manual_seed(_seed(self.config.seed, batch.step, processes.rank))
        state.model.train()
        state.optimizer.zero_grad(set_to_none=True)
        parts = _parts(batch, self.config.accumulate)
        loss = torch.zeros((), device=processes.device)
        for number, (images, labels) in enumerate(parts, 1):
            with processes.no_sync(self.network, when=number < len(parts)):
                part = self._loss(images, labels, total)
                # The processes' gradients are averaged, but `total` already counts all of their pixels.
                state.scaler.scale(part * processes.world_size).backward()
            loss += part.detach()
        state.scaler.unscale_(state.optimizer)
        gradients = [parameter.grad for parameter in state.model.parameters() if parameter.grad is not None]
        return float(processes.all_reduce(loss)), float(nn.utils.get_total_norm(gradients))

    def _loss(self, images: Float[Tensor, "b 3 H W"], labels: Tensor, total: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The contribution of one part to the loss, in the recipe's precision and memory layout."""
        device, kind = self.processes.device, PRECISIONS[self.config.precision]
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

    def _skip(self, batch: Batch, result: StepResult) -> StepResult:
        """Skip a step, or stop the run if the recipe says so or too many were skipped."""
        progress, names = self.state.progress, ", ".join(batch.names)
        self.state.optimizer.zero_grad(set_to_none=True)
        is_broken = result.gradient != 0 and not self.state.scaler.is_enabled()
        if is_broken and self.config.nonfinite == "stop":
            raise TrainingError(
                f"{result.skipped} at step {batch.step}, on {names}; nothing was overwritten",
                advice=("try a smaller train.lr or train.clip_norm=1, or skip such steps with train.nonfinite=skip"),
            )
        progress.skipped += 1
        if progress.skipped > MOST_SKIPPED:
            raise TrainingError(
                f"{progress.skipped} consecutive steps were skipped, the last at step {batch.step}, on "
                f"{names}: {result.skipped}",
                advice="check these images with cgrseg data check, or try a smaller train.lr",
            )
        progress.step = batch.step + 1
        return result


def _seed(seed: int, step: int, rank: int) -> int:
    """Seed of the network's randomness (dropout) at one step in one process."""
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])


def _parts(batch: Batch, count: int) -> list[tuple[Float[Tensor, "b 3 H W"], Tensor]]:
    """The batch split into equal parts."""
    return list(zip(batch.images.chunk(count), batch.labels.chunk(count), strict=True))
