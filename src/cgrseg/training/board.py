"""A run in TensorBoard: numbers of every step, and pictures with what the network makes of them.

events -- TensorBoard(folder) -- tensorboard/ -- tensorboard --logdir runs/
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cgrseg import draw
from cgrseg.arrays import Image
from cgrseg.errors import MissingExtra
from cgrseg.training.log import Evaluated, Event, Scored, Started, Stepped

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SHOWN = 4
"""Pictures that are shown at each evaluation, spread over those that are scored."""


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
            raise MissingExtra("TensorBoard is not installed; run: pip install 'cgrseg[train]'") from None
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
    """The places of a few pictures, evenly spaced."""
    return np.unique(np.linspace(0, length - 1, min(length, SHOWN)).round().astype(int)).tolist()


def _sheet(event: Evaluated, place: int) -> Image:
    """A picture, its annotation and the network's label map, side by side."""
    image, truth = event.held_out.image(place), event.held_out.plain_labels(place)
    result = event.segmenter(image)
    return np.concatenate([image, draw.overlay(image, truth, event.held_out.classes), result.overlay()], axis=1)
