"""What a run tells: each event to whoever watches, and those that stay as one JSON line in its folder.

events -- watcher (live line, TensorBoard)
       +- metrics.jsonl -- metrics.csv

A run in TensorBoard: numbers of every step, and images with what the network makes of them.

events -- TensorBoard(folder) -- tensorboard/ -- tensorboard --logdir runs/
"""

import csv
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cgrseg import draw
from cgrseg.config import ModelSize, StartConfig, TrainConfig
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import MissingExtra
from cgrseg.evaluation import Evaluation
from cgrseg.files import replacing
from cgrseg.predictor import Segmenter
from cgrseg.types import Image

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

COLUMNS = ("step", "loss", "lr", "gradient", "pictures_per_s", "miou", "pixel_accuracy")
"""Of metrics.csv."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The run begins, or goes on after `step` steps."""

    step: int
    steps: int
    size: ModelSize
    """Of the network."""
    images: int
    classes: tuple[str, ...]
    drawn_anew: tuple[str, ...] = ()
    """Classes whose classifier rows are random although the run starts from weights."""
    start: StartConfig = field(default_factory=StartConfig)
    """The backbone that the run started from, with the SHA-256 of its file."""
    processes: int = 1
    sources: dict[str, int] = field(default_factory=dict)
    """Training images of each source of a mixture."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """One optimizer step is done."""

    step: int
    loss: float
    lr: float
    gradient: float
    """Norm before clipping."""
    pictures_per_s: float
    data_share: float
    """Share of the time, 0..1, spent waiting for images."""
    skipped: str = ""
    """Why nothing was learnt; empty where something was."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """An evaluation goes on."""

    done: int
    images: int


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An evaluation is done; for watchers that want to see more of it than numbers."""

    step: int
    evaluation: Evaluation
    segmenter: Segmenter
    held_out: LabelledImages


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The network was evaluated, and its weights written."""

    step: int
    split: str
    miou: float
    pixel_accuracy: float
    iou: dict[str, float | None]
    best: bool
    headline: float
    """What the best weights are chosen by: mIoU; of a mixture, the mean over its sources of each one's mIoU over the
    classes in its truth."""
    by_source: dict[str, dict[str, float]] = field(default_factory=dict)
    """`miou` (over the classes in its truth) and `pixel_accuracy` of each source of a mixture."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The run ended before its last step, since its score did not get better any more."""

    step: int
    patience: int
    """Evaluations in a row without a better score."""
    best: float
    """The headline of the best of them all."""


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something is likely not as meant; the run goes on."""

    step: int
    sentence: str


Kept = Started | Stepped | Scored | Stopped | Warned
"""Events that stay in the run's folder."""
Event = Kept | Scoring | Evaluated
Watcher = Callable[[Event], bool | None]
"""Told of every event; an answer of True asks the run to save its state and stop."""


class EventLog:
    """Appends events to metrics.jsonl, a JSON object a line, and passes them on; a context manager.

    In a process that is not the first it writes nothing; its watcher is told all the same, and may ask to stop.
    """

    def __init__(self, folder: Path, watch: Watcher | None, *, writes: bool = True) -> None:
        self.path, self.watch = folder / "metrics.jsonl", watch
        self.file = self.path.open("a", encoding="utf-8") if writes else None
        self.asked_to_stop = False

    def __call__(self, event: Event) -> None:
        if self.file is not None and isinstance(event, Kept):
            told = {key: _plain(value) for key, value in asdict(event).items()}
            line = {"event": type(event).__name__.lower(), "time": round(time.time(), 3)} | told
            self.file.write(json.dumps(line) + "\n")
            self.file.flush()
        if self.watch is not None and self.watch(event):
            self.asked_to_stop = True

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()


def _plain(value: object) -> object:
    """JSON has no name for what is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_events(folder: Path) -> Iterator[dict]:
    """The events of a run, from the first; half a line at the end, of a run that was killed, is left out."""
    path = folder / "metrics.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def cut_events(folder: Path, step: int, scored: int) -> None:
    """Forget what a run told after the state that it goes on from: steps that are taken again are told again."""
    last = {"scored": scored}
    kept = [event for event in read_events(folder) if event["step"] <= last.get(event["event"], step)]
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "metrics.jsonl") as unfinished:
        unfinished.write_text("".join(json.dumps(event) + "\n" for event in kept), encoding="utf-8")


def write_table(folder: Path) -> None:
    """metrics.csv: a row for each step, with the scores where there was an evaluation."""
    rows: dict[int, dict] = {}
    for event in read_events(folder):
        if event["event"] in ("stepped", "scored"):
            rows.setdefault(event["step"], {}).update(event)
    with replacing(folder / "metrics.csv") as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows.values())


class Pace:
    """Smoothed images per second, and how much of the time went into waiting for images."""

    def __init__(self, config: TrainConfig) -> None:
        self.batch_size = config.batch_size
        self.seconds = self.waited = 0.0
        self.last = time.perf_counter()
        self.arrived = self.last

    def data_ready(self) -> None:
        """A batch has arrived."""
        self.arrived = time.perf_counter()

    def step_done(self) -> tuple[float, float]:
        """A step has ended; gives images per second and the share of time spent waiting, over the last steps."""
        now = time.perf_counter()
        keep = 0.9 if self.seconds else 0.0
        self.waited = keep * self.waited + (1 - keep) * (self.arrived - self.last)
        self.seconds = keep * self.seconds + (1 - keep) * (now - self.last)
        self.last = now
        return self.batch_size / self.seconds, self.waited / self.seconds

    def pause_done(self) -> None:
        """Something else than a step (an evaluation) has ended; its time does not count."""
        self.last = time.perf_counter()


SHOWN = 4
"""Images that are shown at each evaluation, spread over those that are scored."""


class TensorBoard:
    """Writes the events of a run for TensorBoard; a watcher, and a context manager."""

    def __init__(self, folder: Path) -> None:
        """The folder is the run's.

        Raises:
            MissingExtra: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra(
                "TensorBoard is not installed",
                advice="run: pip install 'cgrseg[train]'",
            ) from None
        self.folder, self.kind = folder / "tensorboard", SummaryWriter
        self.writer: SummaryWriter | None = None

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            # What is there after the state that the run goes on from is told again.
            self.writer = self.kind(str(self.folder), purge_step=event.step + 1)
        elif self.writer is not None:
            self._write(self.writer, event)

    def _write(self, writer: "SummaryWriter", event: Event) -> None:
        match event:
            case Stepped():
                for name in ("loss", "lr", "gradient", "pictures_per_s"):
                    writer.add_scalar(f"train/{name}", getattr(event, name), event.step)
            case Evaluated():
                for place in _spread(len(event.held_out)):
                    name = event.held_out.pairs[place].name
                    writer.add_image(f"pictures/{name}", _sheet(event, place), event.step, dataformats="HWC")
            case Scored():
                writer.add_scalar(f"{event.split}/miou", event.miou, event.step)
                writer.add_scalar(f"{event.split}/pixel_accuracy", event.pixel_accuracy, event.step)
                for name, iou in event.iou.items():
                    if iou is not None:
                        writer.add_scalar(f"{event.split}_iou/{name}", iou, event.step)
                writer.flush()


def _spread(length: int) -> list[int]:
    """The places of a few images, evenly spaced."""
    return np.unique(np.linspace(0, length - 1, min(length, SHOWN)).round().astype(int)).tolist()


def _sheet(event: Evaluated, place: int) -> Image:
    """An image, its annotation and the network's label map, side by side."""
    image, truth = event.held_out.image(place), event.held_out.plain_labels(place)
    result = event.segmenter(image)
    return np.concatenate([image, draw.overlay(image, truth, event.held_out.classes), result.overlay()], axis=1)
