"""The display of a training run: one live line, and a line that stays for each evaluation; all on stderr."""

import time

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from cgrseg.cli.progress import live, say
from cgrseg.config import WITHOUT_ATTENTION
from cgrseg.training.events import Event, Scored, Scoring, Started, Stepped, Stopped, Warned

SECONDS_BETWEEN_LINES = 30
"""How often a plain line replaces the live one where stderr is not a terminal."""
SLOW_STEPS, TIMED_STEPS = 10, 30
"""Steps at the beginning that are not timed, and those after them from which the rest is estimated."""


class TrainingDisplay:
    """Shows the events of a run; a context manager, called with each."""

    def __init__(self) -> None:
        self.progress = live(BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self.task = self.progress.add_task("starting", total=None)
        self.best = ""
        self.last_line = time.monotonic()
        self.steps = 0
        self.begun = 0
        self.since = self.last_line

    def __enter__(self) -> "TrainingDisplay":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._start(event)
            case Stepped():
                self._step(event)
            case Scoring():
                self._evaluate(event)
            case Scored():
                self._score(event)
            case Stopped():
                reason = f"{event.patience} evaluations in a row without a better score than {100 * event.best:.1f} %"
                say(f"step {event.step:,}: stopped, {reason}", is_error=True)
            case Warned():
                say(f"warning: {event.sentence}", is_error=True)

    def _start(self, event: Started) -> None:
        self.steps = event.steps
        self.progress.update(self.task, total=event.steps, completed=event.step)
        parts = ", ".join(f"{name} {count:,}" for name, count in event.sources.items())
        images = f"{event.images} images{f' ({parts})' if parts else ''}"
        say(f"{images}, {len(event.classes)} classes, {event.steps:,} steps", is_error=True)
        if event.start.backbone:
            file = f"{event.start.backbone} (SHA-256 {event.start.sha256})"
            tables = f", attention tables {event.start.attention_tables}"
            say(f"backbone from {file}{'' if event.size in WITHOUT_ATTENTION else tables}", is_error=True)
        if event.drawn_anew:
            say(f"no weights to start from for {', '.join(event.drawn_anew)}: drawn anew", is_error=True)

    def _step(self, event: Stepped) -> None:
        line = f"step {event.step:,}  loss {event.loss:.3f}  rate {event.lr:.1e}  {event.pictures_per_s:.1f} images/s"
        self.progress.update(self.task, completed=event.step, description=line + self.best)
        if event.skipped:
            say(f"step {event.step:,} taught nothing: {event.skipped}", is_error=True)
        self._estimate(event.step)
        is_due = time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES
        if is_due and not self.progress.console.is_terminal:
            self.last_line = time.monotonic()
            say(line + self.best, is_error=True)

    def _evaluate(self, event: Scoring) -> None:
        self.progress.update(self.task, description=f"evaluating, image {event.done:,} of {event.images:,}")

    def _estimate(self, step: int) -> None:
        """Say once how long it will take: from a few steps after the first ones, which are slow."""
        self.begun = self.begun or step
        if step == self.begun + SLOW_STEPS:
            self.since = time.monotonic()
        if step == self.begun + SLOW_STEPS + TIMED_STEPS:
            minutes = (time.monotonic() - self.since) / TIMED_STEPS * (self.steps - step) / 60
            say(f"about {max(1, round(minutes))} minutes of steps to go, and the time to score", is_error=True)

    def _score(self, event: Scored) -> None:
        score = f"mIoU {100 * event.headline:.1f} %"
        if event.by_source:
            parts = ", ".join(f"{name} {100 * each['miou']:.1f} %" for name, each in event.by_source.items())
            score = f"{score}, the mean of {parts}"
        self.best = f"  last {score}"
        best = ", the best so far" if event.best else ""
        say(f"step {event.step:,}: {event.split} {score}{best}", is_error=True)
