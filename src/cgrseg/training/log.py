"""What a run tells: one JSON line per event in its folder, and a live line for whoever watches."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cgrseg.config import StartConfig, TrainConfig


@dataclass(frozen=True, kw_only=True)
class Started:
    """The run begins, or goes on after `step` steps."""

    step: int
    steps: int
    pictures: int
    classes: tuple[str, ...]
    drawn_anew: tuple[str, ...] = ()
    """Classes whose classifier rows are random although the run starts from weights."""
    start: StartConfig = field(default_factory=StartConfig)
    """The backbone that the run started from, with the SHA-256 of its file."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """One optimizer step is done."""

    step: int
    loss: float
    lr: float
    pictures_per_s: float
    data_share: float
    """Share of the time, 0..1, spent waiting for pictures."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The network was evaluated, and the checkpoints written."""

    step: int
    split: str
    miou: float
    pixel_accuracy: float
    iou: dict[str, float | None]
    best: bool


Event = Started | Stepped | Scored
Watcher = Callable[[Event], None]


class EventLog:
    """Appends each event to a file, a JSON object a line, and passes it on; a context manager."""

    def __init__(self, path: Path, watch: Watcher | None) -> None:
        self.file = path.open("a", encoding="utf-8")
        self.watch = watch

    def __call__(self, event: Event) -> None:
        line = {"event": type(event).__name__.lower(), "time": round(time.time(), 3)} | asdict(event)
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        if self.watch:
            self.watch(event)

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class Pace:
    """Smoothed pictures per second, and how much of the time went into waiting for pictures."""

    def __init__(self, config: TrainConfig) -> None:
        self.batch_size = config.batch_size
        self.seconds = self.waited = 0.0
        self.last = time.perf_counter()
        self.arrived = self.last

    def data_ready(self) -> None:
        """A batch has arrived."""
        self.arrived = time.perf_counter()

    def step_done(self) -> tuple[float, float]:
        """A step has ended; gives pictures per second and the share of time spent waiting, over the last steps."""
        now = time.perf_counter()
        keep = 0.9 if self.seconds else 0.0
        self.waited = keep * self.waited + (1 - keep) * (self.arrived - self.last)
        self.seconds = keep * self.seconds + (1 - keep) * (now - self.last)
        self.last = now
        return self.batch_size / self.seconds, self.waited / self.seconds

    def pause_done(self) -> None:
        """Something else than a step (an evaluation) has ended; its time does not count."""
        self.last = time.perf_counter()
