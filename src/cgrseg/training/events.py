"""Events of a training run, and their log: one JSON object per line in the run's folder.

event -- EventLog -- watcher: live display, TensorBoard
                  +- metrics.jsonl, for events that are kept
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cgrseg.config import ModelSize, StartConfig
from cgrseg.data.datasets import LabelledImages
from cgrseg.evaluation import Evaluation
from cgrseg.files import finite, replacing
from cgrseg.predictor import Segmenter


@dataclass(frozen=True, kw_only=True)
class Started:
    """The run starts, or resumes after `step` steps."""

    step: int
    steps: int
    size: ModelSize
    """Size of the network."""
    images: int
    classes: tuple[str, ...]
    drawn_anew: tuple[str, ...] = ()
    """Classes whose classifier rows are random although the run started from weights."""
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
    """Norm of the gradient before clipping."""
    pictures_per_s: float
    data_share: float
    """Share of the time spent waiting for images, 0..1."""
    skipped: str = ""
    """Why the step was skipped; empty if it was not."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """Progress of an evaluation."""

    done: int
    images: int


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An evaluation is done; for watchers that need more than its numbers."""

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
    """The score that the best weights are chosen by: mIoU; for a mixture, the mean over its sources of the mIoU over
    the classes in the source's annotations."""
    by_source: dict[str, dict[str, float]] = field(default_factory=dict)
    """`miou` (over the classes in its annotations) and `pixel_accuracy` of each source of a mixture."""


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The run ended before its last step because its score stopped improving."""

    step: int
    patience: int
    """Consecutive evaluations without a better score."""
    best: float
    """The best headline score of the run."""


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something is probably wrong; the run continues."""

    step: int
    sentence: str


Kept = Started | Stepped | Scored | Stopped | Warned
"""Events that are written to metrics.jsonl."""
Event = Kept | Scoring | Evaluated
Watcher = Callable[[Event], bool | None]
"""Called with every event; returning True asks the run to save a checkpoint and stop."""


class EventLog:
    """Appends events to metrics.jsonl, one JSON object per line, and passes them to a watcher; a context manager.

    Args:
        folder: of the run.
        watch: called with every event; returning True sets `asked_to_stop`.
        writes: whether this process writes the file; the watcher is called in any case.
    """

    def __init__(self, folder: Path, watch: Watcher | None, *, writes: bool = True) -> None:
        self.path, self.watch = folder / "metrics.jsonl", watch
        self.file = self.path.open("a", encoding="utf-8") if writes else None
        self.asked_to_stop = False

    def __call__(self, event: Event) -> None:
        if self.file is not None and isinstance(event, Kept):
            line = {"event": type(event).__name__.lower(), "time": round(time.time(), 3)} | asdict(event)
            self.file.write(_line(line))
            self.file.flush()
        if self.watch is not None and self.watch(event):
            self.asked_to_stop = True

    def __enter__(self) -> "EventLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()


def _line(event: dict) -> str:
    return json.dumps(finite(event), allow_nan=False) + "\n"


def read_events(folder: Path) -> Iterator[dict]:
    """The events of a run in order; lines that a killed run left incomplete are skipped."""
    path = folder / "metrics.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def cut_events(folder: Path, step: int, scored: int) -> None:
    """Drop the events after the checkpoint that a run resumes from, since it repeats them.

    Args:
        folder: of the run.
        step: steps done in the checkpoint.
        scored: the step of its last evaluation.
    """
    last = {"scored": scored}
    kept = [event for event in read_events(folder) if event["step"] <= last.get(event["event"], step)]
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "metrics.jsonl") as unfinished:
        unfinished.write_text("".join(map(_line, kept)), encoding="utf-8")
