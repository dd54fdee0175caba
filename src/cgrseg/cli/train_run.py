"""A run as the command line starts it: what is shown of it, and what a signal does."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cgrseg.cli.stopping import heeding_signals

if TYPE_CHECKING:
    from cgrseg import Recipe
    from cgrseg.cli.training_display import TrainingDisplay
    from cgrseg.training.events import Event
    from cgrseg.training.loggers import TensorBoard
    from cgrseg.training.splits import Where


def is_first_process() -> bool:
    """Whether this is the one of torchrun's processes that talks; alone it is."""
    return os.environ.get("RANK", "0") == "0"


def run(settings: "Recipe", data: "Where", folder: Path, begin: dict) -> Path:
    """Train; the path of the best weights.

    Raises:
        RunStopped: a signal came, and the state is saved.
    """
    import cgrseg

    resume = "changed" if begin["resume"] and begin["accept_changes"] else begin["resume"]
    with ExitStack() as stack:
        is_asked = stack.enter_context(heeding_signals())
        watchers = [stack.enter_context(watcher) for watcher in _watchers(folder, begin)]

        def watch(event: "Event") -> bool:
            for watcher in watchers:
                watcher(event)
            return is_asked()

        return cgrseg.train(
            settings, data, folder, init=begin["init"], resume=resume, device=begin["device"], watch=watch
        )


def _watchers(folder: Path, begin: dict) -> "list[TrainingDisplay | TensorBoard]":
    """What the first process shows; the others are silent."""
    if not is_first_process():
        return []
    from cgrseg.cli.training_display import TrainingDisplay

    if not begin["tensorboard"]:
        return [TrainingDisplay()]
    from cgrseg.training.loggers import TensorBoard

    return [TrainingDisplay(), TensorBoard(folder)]
