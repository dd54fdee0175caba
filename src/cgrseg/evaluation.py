"""Scoring: the label maps of a segmenter against a data set's annotations, at the annotations' own sizes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import DatasetError
from cgrseg.metrics import Scores, confusion, scores
from cgrseg.prediction import Segmenter


@dataclass(frozen=True)
class Evaluation:
    """The scores of one model on one split, and what they were measured on."""

    scores: Scores
    classes: ClassTable
    kind: str
    split: str
    pictures: int
    protocol: str

    def as_tree(self) -> dict:
        """Plain values for JSON; scores are 0..1, the IoU of a class in neither truth nor prediction is null."""
        return {
            "data": self.kind,
            "split": self.split,
            "pictures": self.pictures,
            "protocol": self.protocol,
            "miou": self.scores.miou,
            "pixel_accuracy": self.scores.pixel_accuracy,
            "mean_accuracy": self.scores.mean_accuracy,
            "iou": dict(zip(self.classes.names, self.scores.iou, strict=True)),
        }


def evaluate(
    segmenter: Segmenter, dataset: LabelledImages, on_progress: Callable[[int], None] | None = None
) -> Evaluation:
    """Score a segmenter on every picture of a data set, one at a time.

    Args:
        segmenter: what `cgrseg.load` gives, on any engine.
        dataset: what `open_dataset` gives; its classes must be the model's.
        on_progress: called after each picture with the number done.

    Raises:
        DatasetError: the data set has other classes than the model.
    """
    require_same_classes(segmenter.classes, dataset)
    classes = len(dataset.classes)
    matrix = np.zeros((classes, classes), np.int64)
    for index in range(len(dataset)):
        labels = segmenter.labels(dataset.image(index))
        matrix += confusion(dataset.labels(index), labels, classes)
        if on_progress is not None:
            on_progress(index + 1)
    sides = segmenter.info.inference
    return Evaluation(
        scores=scores(matrix),
        classes=dataset.classes,
        kind=dataset.kind,
        split=dataset.split,
        pictures=len(dataset),
        protocol=f"whole picture, short side {sides.short_px}, long side at most {sides.long_px}",
    )


def require_same_classes(classes: ClassTable, dataset: LabelledImages) -> None:
    """Refuse to score a model on a data set of other classes."""
    if classes.names == dataset.classes.names:
        return
    if len(classes) != len(dataset.classes):
        difference = f"{len(classes)} classes but {dataset.kind} has {len(dataset.classes)}"
    else:
        pairs = zip(classes.names, dataset.classes.names, strict=True)
        own, other = next((own, other) for own, other in pairs if own != other)
        difference = f"a class {own!r} where {dataset.kind} has {other!r}"
    raise DatasetError(f"the model predicts {difference}; score it on data with its own classes")
