"""Progress: live lines on stderr, nothing where stderr is not a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; gives the function that is told how many are done."""
    with live(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def bar_of(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar whose length shows later; gives the function that is told how many are done, and of how many."""
    with live(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def say(line: object, *, is_error: bool = False) -> None:
    """Print a line above whatever is live; without `file`, click would write across it."""
    click.echo(line, file=sys.stderr if is_error else sys.stdout)


def live(*columns: ProgressColumn) -> Progress:
    """An empty live display that vanishes at the end."""
    # Lines printed meanwhile go above the display; results in a pipe stay clear of it.
    is_shared, console = sys.stdout.isatty(), Console(stderr=True)
    is_off = not console.is_terminal
    return Progress(*columns, console=console, transient=True, redirect_stdout=is_shared, disable=is_off)
