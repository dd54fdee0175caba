"""What a run needs to go on: network, optimizer, average, step, best score and its age, written atomically."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cgrseg.errors import TrainingError, reason
from cgrseg.files import replacing
from cgrseg.training.optim import MovingAverage


@dataclass
class TrainState:
    """A run after `step` optimizer steps."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    step: int = 0
    best: float = -1.0
    """Best mIoU so far, 0..1; -1 before the first evaluation."""
    stale: int = 0
    """Evaluations since the best one."""

    @property
    def evaluated(self) -> nn.Module:
        """The network that is scored and saved: the average where there is one."""
        return self.average.model if self.average else self.model


def save_state(path: Path, state: TrainState) -> None:
    """Write the state; a reader finds the old file or the new one, never a part."""
    tree = {
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "average": state.average.model.state_dict() if state.average else None,
        "step": state.step,
        "best": state.best,
        "stale": state.stale,
    }
    with replacing(path) as unfinished:
        torch.save(tree, unfinished)


def load_state(path: Path, state: TrainState) -> None:
    """Bring a state made by the same recipe to where the file left it.

    Raises:
        TrainingError: the file is missing, broken, or of another recipe.
    """
    if not path.is_file():
        raise TrainingError(f"{path.parent} holds no run to resume; leave out --resume to start one")
    try:
        tree = torch.load(path, map_location="cpu", weights_only=True)
        state.model.load_state_dict(tree["model"])
        state.optimizer.load_state_dict(tree["optimizer"])
        if state.average:
            state.average.model.load_state_dict(tree["average"])
    except (RuntimeError, KeyError, ValueError, TypeError, EOFError) as error:
        raise TrainingError(f"{path} does not continue this recipe: {reason(error)}") from None
    state.step, state.best, state.stale = tree["step"], tree["best"], tree.get("stale", 0)
