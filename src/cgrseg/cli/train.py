"""`cgrseg train`: from labelled images, with a recipe or without, to weights and a verdict."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from cgrseg.cli import options
from cgrseg.cli.progress import say
from cgrseg.cli.train_plan import deviations_asked, deviations_option, print_deviations, settle

if TYPE_CHECKING:
    from cgrseg.cli.train_display import TrainingDisplay
    from cgrseg.training.events import Event
    from cgrseg.training.loggers import TensorBoard

RESUMABLE = 75
"""Exit code of a run that saved its state and can be resumed."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXAMPLE = """\b
Example:
  cgrseg train --data folder=my-photos
  cgrseg train recipes/cgrseg-t-camvid.yaml --data camvid=path/to/CamVid
  cgrseg train mixed.yaml --data voc=path/to/VOC --data mine=my-photos"""


@click.command(epilog=EXAMPLE)
@click.argument("recipe", type=options.FILE, required=False)
@options.several_data
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Change a setting, such as train.steps=1000.")
@click.option("--init", help="Weights to start from: bundled name, file or hub id.")
@click.option(
    "--resume", is_flag=True, help="Continue the run in the output folder, without RECIPE by its own settings."
)
@click.option("--accept-changes", is_flag=True, help="With --resume: go on though recipe or images have changed.")
@click.option("--tensorboard", is_flag=True, help="Write numbers and images for TensorBoard, too.")
@options.device
@deviations_option
@click.option("--unlabelled", type=options.FOLDER, help="Images without labels; the verdict says which to label next.")
@click.option("-o", "--output", type=options.FOLDER, help="Folder of the run.  [default: runs/<recipe or data>]")
def train(
    recipe: Path | None,
    data: options.DataPaths,
    overrides: tuple[str, ...],
    init: str | None,
    resume: bool,
    accept_changes: bool,
    tensorboard: bool,
    device: str,
    unlabelled: Path | None,
    output: Path | None,
) -> None:
    """Train a network by a RECIPE, or by settings made from the data. All of a run goes into one folder."""
    if deviations_asked():
        print_deviations(recipe, overrides, data)
        return
    import cgrseg

    folder = output or Path("runs") / (recipe.stem if recipe else data.label)
    settings = settle(recipe, folder, data, overrides, init=init, resume=resume, device=device)
    where = data.by_source(settings.sources) if settings.sources else data.single().path
    try:
        with watching(folder, tensorboard=tensorboard) as watch:
            begun = "changed" if resume and accept_changes else resume
            best = cgrseg.train(settings, where, folder, init=init, resume=begun, device=device, watch=watch)
    except cgrseg.RunStopped as stopped:
        click.echo(f"cgrseg: {stopped}; the same command with --resume continues it", err=True)
        sys.exit(RESUMABLE)
    if is_first_process():
        from cgrseg.cli.train_display import tell_verdict

        tell_verdict(folder, where, str(data), unlabelled, device)
        click.echo(best)


def is_first_process() -> bool:
    """Whether this process prints: the first of torchrun's, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def watching(folder: Path, *, tensorboard: bool) -> "Iterator[Callable[[Event], bool]]":
    """The function that a run reports its events to: shows them, and returns whether a signal asked to stop."""
    with ExitStack() as stack:
        is_asked = stack.enter_context(stopping_on_signals())
        watchers = [stack.enter_context(watcher) for watcher in _watchers(folder, tensorboard)]

        def watch(event: "Event") -> bool:
            for watcher in watchers:
                watcher(event)
            return is_asked()

        yield watch


def _watchers(folder: Path, tensorboard: bool) -> "list[TrainingDisplay | TensorBoard]":
    if not is_first_process():
        return []
    from cgrseg.cli.train_display import TrainingDisplay

    if not tensorboard:
        return [TrainingDisplay()]
    from cgrseg.training.loggers import TensorBoard

    return [TrainingDisplay(), TensorBoard(folder)]


@contextmanager
def stopping_on_signals() -> Iterator[Callable[[], bool]]:
    """A block in which the first SIGTERM or Ctrl-C only asks to stop, and the second stops at once.

    Yields:
        The function that says whether a signal came.
    """
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            signal.default_int_handler(number, frame)
        received.append(number)
        say("stopping after this step; once more stops at once", is_error=True)

    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
