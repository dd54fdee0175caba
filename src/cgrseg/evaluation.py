"""Scoring: the label maps of a segmenter against a data set's annotations, at the annotations' own sizes.

Axes: k classes.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Int64

from cgrseg.arrays import LabelMap
from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import DatasetError
from cgrseg.metrics import Scores, confusion, scores
from cgrseg.metrics.boundaries import BoundaryScores, boundary_areas, boundary_scores
from cgrseg.metrics.calibration import BINS, Reliability, reliability
from cgrseg.metrics.resampling import DRAWS, LEVEL, SEED, Areas, Interval, interval, resample
from cgrseg.prediction import Segmenter


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The scores of one model on one split, and what they were measured on."""

    scores: Scores
    classes: ClassTable
    kind: str
    split: str
    names: tuple[str, ...]
    """Of the pictures."""
    protocol: str
    matrix: Int64[np.ndarray, "k k"] = field(repr=False)
    """Pixels of each true class (row) that were labelled as each class (column)."""
    areas: Areas = field(repr=False)
    """Of each picture, in the order of the names."""
    boundary: BoundaryScores | None = None
    """Where it was asked for."""
    reliability: Reliability | None = None
    """Where it was asked for."""

    @property
    def pictures(self) -> int:
        """How many were scored."""
        return len(self.names)

    def as_tree(self) -> dict:
        """Plain values for JSON; scores are 0..1, the IoU of a class in neither truth nor prediction is null."""
        tree = {
            "data": self.kind,
            "split": self.split,
            "pictures": self.pictures,
            "protocol": self.protocol,
            "miou": self.scores.miou,
            "pixel_accuracy": self.scores.pixel_accuracy,
            "mean_accuracy": self.scores.mean_accuracy,
            "frequency_weighted_iou": self.scores.frequency_weighted_iou,
            "miou_by_rule": {
                "mmsegmentation": self.scores.miou,
                "classes_in_truth": self.scores.miou_of_true,
                "absent_as_zero": self.scores.miou_of_all,
            },
            "iou": self._by_class(self.scores.iou),
        }
        if self.boundary is not None:
            tree["boundary"] = {"miou": self.boundary.miou, "iou": self._by_class(self.boundary.iou)}
        if self.reliability is not None:
            tree["calibration"] = self.reliability.as_tree()
        return tree | self._by_picture()

    def _by_class(self, values: tuple[float | None, ...]) -> dict[str, float | None]:
        return dict(zip(self.classes.names, values, strict=True))

    def _by_picture(self) -> dict:
        """What is known only picture by picture."""
        own, resampled = self.areas.picture_miou(), resample(self.areas)
        values = [None if np.isnan(value) else float(value) for value in own]
        return {
            "miou_interval": interval(resampled.miou),
            "picture_miou": _mean(own),
            "picture_miou_interval": interval(resampled.picture_miou),
            "bootstrap": {"level": LEVEL, "draws": DRAWS, "seed": SEED},
            "picture_mious": dict(zip(self.names, values, strict=True)),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How much better one model is than another on the same pictures; below 0 where it is worse."""

    miou: float
    miou_interval: Interval | None
    picture_miou: float | None
    """Mean over the pictures of the difference of their own mIoU; none where nothing is labelled."""
    picture_miou_interval: Interval | None
    better: int
    """Pictures whose own mIoU is higher."""
    worse: int
    equal: int

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def compare(ours: Evaluation, theirs: Evaluation) -> Comparison:
    """Our scores minus theirs, with the interval over samples of pictures in which both are scored."""
    assert ours.names == theirs.names, "two models are compared on the same pictures"
    first, second = resample(ours.areas), resample(theirs.areas)
    gain = ours.areas.picture_miou() - theirs.areas.picture_miou()
    return Comparison(
        miou=ours.scores.miou - theirs.scores.miou,
        miou_interval=interval(first.miou - second.miou),
        picture_miou=_mean(gain),
        picture_miou_interval=interval(first.picture_miou - second.picture_miou),
        better=int((gain > 0).sum()),
        worse=int((gain < 0).sum()),
        equal=int((gain == 0).sum()),
    )


def _mean(values: np.ndarray) -> float | None:
    """The mean of those that are known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def evaluate(
    segmenter: Segmenter,
    dataset: LabelledImages,
    on_progress: Callable[[int], None] | None = None,
    *,
    boundary: bool = False,
    calibration: bool = False,
) -> Evaluation:
    """Score a segmenter on every picture of a data set, one at a time.

    Args:
        segmenter: what `cgrseg.load` gives, on any engine.
        dataset: what `open_dataset` gives; its classes must be the model's.
        on_progress: called after each picture with the number done.
        boundary: score the edges of the classes, too.
        calibration: compare confidence with accuracy, too; it costs more than the labels.

    Raises:
        DatasetError: the data set has other classes than the model.
    """
    require_same_classes(segmenter.classes, dataset)
    tally = _Tally(len(dataset), len(dataset.classes))
    for index in range(len(dataset)):
        truth, answer = dataset.labels(index), segmenter(dataset.image(index))
        tally.count(index, truth, answer.labels)
        if boundary:
            tally.edges += boundary_areas(truth, answer.labels, len(dataset.classes))
        if calibration:
            tally.reliability += reliability(truth, answer.labels, answer.confidence)
        if on_progress is not None:
            on_progress(index + 1)
    sides = segmenter.info.inference
    return Evaluation(
        scores=scores(tally.matrix),
        classes=dataset.classes,
        kind=dataset.kind,
        split=dataset.split,
        names=tuple(pair.name for pair in dataset.pairs),
        protocol=f"whole picture, short side {sides.short_px}, long side at most {sides.long_px}",
        matrix=tally.matrix,
        areas=tally.areas,
        boundary=boundary_scores(tally.edges) if boundary else None,
        reliability=tally.reliability if calibration else None,
    )


class _Tally:
    """What has been counted so far."""

    def __init__(self, pictures: int, classes: int) -> None:
        self.matrix = np.zeros((classes, classes), np.int64)
        self.areas = Areas(np.zeros((pictures, classes), np.int64), np.zeros((pictures, classes), np.int64))
        self.edges = np.zeros((2, classes), np.int64)
        self.reliability = Reliability(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS))

    def count(self, index: int, truth: LabelMap, labels: LabelMap) -> None:
        """Count the pixels of one picture."""
        matrix = confusion(truth, labels, len(self.matrix))
        self.matrix += matrix
        self.areas.hits[index] = matrix.diagonal()
        self.areas.unions[index] = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()


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
