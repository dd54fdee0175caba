"""Logs of a training run for people: a table, curves, and TensorBoard.

metrics.jsonl -- metrics.csv, curves.png
events -- TensorBoard -- tensorboard/
"""

import csv
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from cgrseg import draw
from cgrseg.errors import MissingExtra
from cgrseg.files import replacing
from cgrseg.training.events import Evaluated, Event, Scored, Started, Stepped, read_events
from cgrseg.types import Image

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

COLUMNS = ("step", "loss", "lr", "gradient", "pictures_per_s", "miou", "pixel_accuracy")
"""Columns of metrics.csv."""
WINDOW = 0.05
"""Share of the steps that the smoothed loss is averaged over."""
SHOWN = 4
"""Images per evaluation in TensorBoard, evenly spaced over the held-out ones."""


def write_table(folder: Path) -> None:
    """Write metrics.csv: one row per step, with the scores of an evaluation at its step."""
    rows: dict[int, dict] = {}
    for event in read_events(folder):
        if event["event"] in ("stepped", "scored"):
            rows.setdefault(event["step"], {}).update(event)
    with replacing(folder / "metrics.csv") as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows.values())


def draw_curves(folder: Path) -> None:
    """Write curves.png: loss, mIoU and learning rate over the steps; skipped if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    events = list(read_events(folder))
    stepped = [event for event in events if event["event"] == "stepped" and not event["skipped"]]
    scored = [event for event in events if event["event"] == "scored"]
    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=120)
    left, middle, right = figure.subplots(1, 3)
    steps, losses = (np.array([event[key] for event in stepped], np.float64) for key in ("step", "loss"))
    left.plot(steps, losses, color="#d9a5ad", linewidth=0.6)
    left.plot(steps, smooth(losses), color="#c8102e", linewidth=1.4)
    left.set(title="loss", xlabel="step")
    middle.plot([event["step"] for event in scored], [100 * event["miou"] for event in scored], "o-", color="#30638e")
    middle.set(title=f"mIoU on {scored[-1]['split']}, %" if scored else "mIoU, %", xlabel="step")
    right.plot(steps, [event["lr"] for event in stepped], color="#2a9d8f")
    right.set(title="learning rate", xlabel="step")
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    with replacing(folder / "curves.png") as unfinished:
        figure.savefig(unfinished, format="png")


def smooth(values: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """Moving average over a centred window of `WINDOW` of the values, cut off at both ends."""
    half = int(WINDOW * len(values) / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low, high = (np.clip(np.arange(len(values)) + shift, 0, len(values)) for shift in (-half, half + 1))
    return (sums[high] - sums[low]) / (high - low)


class TensorBoard:
    """Writes the events of a run for TensorBoard; a watcher and a context manager."""

    def __init__(self, folder: Path) -> None:
        """Log into `tensorboard/` in the run's folder.

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
            # A resumed run repeats the steps after its checkpoint.
            self.writer = self.kind(str(self.folder), purge_step=event.step + 1)
        elif self.writer is not None:
            self._write(self.writer, event)

    def _write(self, writer: "SummaryWriter", event: Event) -> None:
        match event:
            case Stepped():
                for name in ("loss", "lr", "gradient", "pictures_per_s"):
                    writer.add_scalar(f"train/{name}", getattr(event, name), event.step)
            case Evaluated():
                for index in _spread(len(event.held_out)):
                    name = event.held_out.pairs[index].name
                    writer.add_image(f"pictures/{name}", _comparison(event, index), event.step, dataformats="HWC")
            case Scored():
                writer.add_scalar(f"{event.split}/miou", event.miou, event.step)
                writer.add_scalar(f"{event.split}/pixel_accuracy", event.pixel_accuracy, event.step)
                for name, iou in event.iou.items():
                    if iou is not None:
                        writer.add_scalar(f"{event.split}_iou/{name}", iou, event.step)
                writer.flush()


def _spread(length: int) -> list[int]:
    """Indices of up to `SHOWN` images, evenly spaced."""
    return np.unique(np.linspace(0, length - 1, min(length, SHOWN)).round().astype(int)).tolist()


def _comparison(event: Evaluated, index: int) -> Image:
    """An image, its annotation and the network's label map, side by side."""
    image, truth = event.held_out.image(index), event.held_out.plain_labels(index)
    result = event.segmenter(image)
    return np.concatenate([image, draw.overlay(image, truth, event.held_out.classes), result.overlay()], axis=1)
