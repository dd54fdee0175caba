"""What a person sees of a training run: one live line, and a line that stays for each evaluation; all on stderr."""

import time

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from cgrseg.cli.progress import live, say
from cgrseg.training.log import Event, Scored, Started, Stepped

SECONDS_BETWEEN_LINES = 30
"""How often a plain line replaces the live one where stderr is not a terminal."""


class TrainingDisplay:
    """Shows the events of a run; a context manager, called with each."""

    def __init__(self) -> None:
        self.progress = live(BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        self.task = self.progress.add_task("starting", total=None)
        self.best = ""
        self.last_line = time.monotonic()

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
            case Scored():
                self._score(event)

    def _start(self, event: Started) -> None:
        self.progress.update(self.task, total=event.steps, completed=event.step)
        say(f"{event.pictures} pictures, {len(event.classes)} classes, {event.steps:,} steps", is_error=True)
        if event.start.backbone:
            file = f"{event.start.backbone} (SHA-256 {event.start.sha256})"
            say(f"backbone from {file}, attention tables {event.start.attention_tables}", is_error=True)
        if event.drawn_anew:
            say(f"no weights to start from for {', '.join(event.drawn_anew)}: drawn anew", is_error=True)

    def _step(self, event: Stepped) -> None:
        line = f"step {event.step:,}  loss {event.loss:.3f}  rate {event.lr:.1e}  {event.pictures_per_s:.1f} pictures/s"
        self.progress.update(self.task, completed=event.step, description=line + self.best)
        is_due = time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES
        if is_due and not self.progress.console.is_terminal:
            self.last_line = time.monotonic()
            say(line + self.best, is_error=True)

    def _score(self, event: Scored) -> None:
        score = f"mIoU {100 * event.miou:.1f} %"
        self.best = f"  last {score}"
        best = ", the best so far" if event.best else ""
        say(f"step {event.step:,}: {event.split} {score}{best}", is_error=True)
