"""The display of a training run on stderr: one live line, a line for each evaluation, and the verdict at the end."""

import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cgrseg.cli.progress import bar_of, live, say
from cgrseg.config import WITHOUT_ATTENTION
from cgrseg.training.events import Event, Scored, Scoring, Started, Stepped, Stopped, Warned

if TYPE_CHECKING:
    from cgrseg.advisor.verdict import Verdict
    from cgrseg.training.splits import Where


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


WIDTH = 100
COURSES = {
    "overfitted": "The score fell after step {best_step:,} of {last_step:,} (overfitting or chance); the best is kept.",
    "stopped": "It stopped at step {last_step:,} of {steps:,}, since the score got no better after step {best_step:,}.",
    "rising": "It was still getting better at the end. More steps may help: train anew with --set train.steps={twice}",
    "level": "The score had levelled off by the end (best at step {best_step:,} of {steps:,}).",
    "once": "It was scored once, at its last step, so whether more steps help is not known.",
}
NEEDS = {
    "": "",
    "unlearnt": "in no training image: label some",
    "unscored": "in no held-out image, so not scored",
    "rare": "label more of it: few images",
    "low": "label more, or check its labels",
}


def tell_verdict(folder: Path, data: "Where", option: str, unlabelled: Path | None, device: str) -> None:
    """Judge the run in a folder, and tell it on stderr; `option` is how the data was given."""
    from cgrseg.advisor import judge

    with bar_of("images judged") as show:
        verdict = judge(folder, data, unlabelled=unlabelled, device=device, on_progress=show)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH, highlight=False, markup=False)
    again = f"cgrseg train {option} --resume -o {shlex.quote(str(folder))}"
    for part in ("", *summary(verdict), "", classes(verdict), "", *worst(verdict), "", *next_labels(verdict, again)):
        console.print(part, soft_wrap=isinstance(part, str))


def summary(verdict: "Verdict") -> Iterator[str]:
    """How good it is, how sure that is, and how the run went."""
    basis = f"{verdict.scored:,} images that it did not learn from ({verdict.split})"
    if verdict.leaked:
        basis += f", but the weights that it started from had learnt {verdict.leaked:,} of them: the score flatters"
    yield f"VERDICT: mIoU {percent(verdict.miou)} on {basis}"
    if verdict.miou_interval:
        low, high = map(percent, verdict.miou_interval)
        rough = "  This is rough: there are few images to score on." if verdict.is_rough else ""
        yield f"  95 % interval over such images: {low} to {high}.{rough}"
    if verdict.looks > 1:
        yield f"  These images chose the best of {verdict.looks} scorings, which flatters a little."
    facts = {"best_step": verdict.best_step, "last_step": verdict.last_step, "steps": verdict.steps}
    yield "  " + COURSES[verdict.course].format(**facts, twice=2 * verdict.steps)


def classes(verdict: "Verdict") -> Table:
    """One class a row, the worst first."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("class", overflow="fold")
    for heading in ("IoU", "training images", "share of pixels"):
        table.add_column(heading, justify="right")
    table.add_column("most confused with", overflow="fold")
    table.add_column("what to do", overflow="fold")
    total = sum(each.pixels for each in verdict.classes) or 1
    for each in sorted(verdict.classes, key=lambda each: -1.0 if each.iou is None else each.iou):
        share, name = f"{each.pixels / total:.1%}", each.confused_with or "-"
        table.add_row(each.name, percent(each.iou), f"{each.images:,}", share, name, NEEDS[each.need])
    return table


def worst(verdict: "Verdict") -> Iterator[str]:
    """The held-out images to look at first."""
    named = ", ".join(f"{name} ({percent(miou)})" for name, miou in verdict.worst)
    yield f"Look at the {verdict.split} images that came out worst, and at their labels: {named}"
    wanting = [each for each in verdict.classes if each.need]
    if wanting:
        yield f"More labels are needed for {', '.join(each.name for each in wanting)}. The rule: {rule()}"
    else:
        yield f"No class asks for more labels by the rule: {rule()}"


def rule() -> str:
    """Which classes are said to need labels."""
    from cgrseg.advisor.verdict import FAIR, FEW, LOW

    return f"IoU under {percent(LOW)}, or under {percent(FAIR)} with fewer than {FEW} training images, or no score."


def next_labels(verdict: "Verdict", again: str) -> Iterator[str]:
    """The images to label next, or how to learn of them."""
    ranking = verdict.ranking
    if ranking is None:
        yield "Which images to label next? Collect some without labels in a folder, and:"
        yield f"  {again} --unlabelled FOLDER"
        return
    alike = f"; {ranking.alike} passed over as look-alikes" if ranking.alike else ""
    found = f"{len(ranking.candidates)} of {ranking.images} images without labels"
    yield f"LABEL THESE NEXT, the network is least sure of them ({found}{alike}):"
    for rank, candidate in enumerate(ranking.candidates, start=1):
        classes = " and ".join(candidate.classes)
        yield f"  {rank:2}. {candidate.path}  unsure of {candidate.uncertainty:.0%}, mostly {classes}"
    for fault in ranking.unreadable:
        yield f"  cannot be read: {fault}"
    yield "Then put them with their labels among the others, and train again, from the same start, into a new folder."


def percent(share: float | None) -> str:
    """A share as text."""
    return "-" if share is None else f"{100 * share:.1f} %"
