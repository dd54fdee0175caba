"""Results of an evaluation, what they require of a data set, and the comparison of two of them.

    Evaluation (scores, protocol, areas of each image) --+-- as_tree --> JSON
    Evaluation of another model -------------------------+-- compare --> Comparison

Axes: k classes, s sources of a mixture.
"""

from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Int64

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import DatasetError
from cgrseg.metrics import Scores, scores
from cgrseg.metrics.bootstrap import DRAWS, LEVEL, SEED, Areas, Interval, Resampled, interval, resample
from cgrseg.metrics.boundaries import BoundaryScores
from cgrseg.metrics.calibration import Reliability

MOST_NAMED = 12
"""Largest number of classes that an error lists."""


@dataclass(frozen=True, eq=False)
class BySource:
    """Counts of each source of a mixture; the counts of several processes can be added."""

    names: tuple[str, ...]
    """Names of the sources; empty for a single data set, which has one row of counts."""
    matrices: Int64[np.ndarray, "s k k"] = field(repr=False)
    allowed: Int64[np.ndarray, "s 2"] = field(repr=False)
    """Pixels that may be any of several classes: how many are labelled as one of them, and how many there are."""

    def scores(self) -> dict[str, Scores]:
        """The scores of each source."""
        counts = zip(self.names, self.matrices, self.allowed, strict=bool(self.names))
        return {name: scores(matrix, allowed) for name, matrix, allowed in counts}


@dataclass(frozen=True)
class SourceMeans:
    """Means over the sources of a mixture, each with the same weight."""

    miou: float
    """Mean, over the sources with labels, of the mIoU over the classes in the source's truth."""
    pixel_accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Scores of one model on one split of a data set."""

    scores: Scores
    classes: ClassTable
    kind: str
    split: str
    names: tuple[str, ...]
    """Names of the images."""
    protocol: str
    """How images were fed to the network, in one line."""
    matrix: Int64[np.ndarray, "k k"] = field(repr=False)
    """Pixels of each true class (row) that were labelled as each class (column)."""
    areas: Areas = field(repr=False)
    """Areas of each image, in the order of `names`."""
    images_of_class: Int64[np.ndarray, "k"] = field(repr=False)
    """Number of images in whose truth each class occurs."""
    boundary: BoundaryScores | None = None
    """Scores of the edges, if they were measured."""
    reliability: Reliability | None = None
    """Confidence against accuracy, if it was measured."""
    temperature: float = 1.0
    """Temperature of the weights: logits are divided by it before confidence is computed."""
    sources: BySource | None = None
    """Counts of each source of a mixture."""

    def by_source(self) -> dict[str, Scores]:
        """Scores of each source of a mixture; empty for a single data set."""
        return self.sources.scores() if self.sources else {}

    def source_means(self) -> SourceMeans | None:
        """Means over the sources of a mixture; none for a single data set."""
        by_source = list(self.by_source().values())
        mious = [source.miou_of_true for source in by_source if source.pixels]
        accuracies = [source.pixel_accuracy for source in by_source]
        return SourceMeans(_average(mious), _average(accuracies)) if by_source else None

    @cached_property
    def resampled(self) -> Resampled:
        """Scores of the bootstrap draws, computed once."""
        return resample(self.areas)

    @property
    def headline(self) -> float:
        """The score that selects the best weights: mIoU, or for a mixture its mean over the sources."""
        means = self.source_means()
        return self.scores.miou if means is None else means.miou

    @property
    def images(self) -> int:
        """Number of images that were scored."""
        return len(self.names)

    def as_tree(self) -> dict:
        """Plain values for JSON; scores are 0..1, the IoU of a class absent from truth and prediction is null."""
        tree = {
            "data": self.kind,
            "split": self.split,
            "pictures": self.images,
            "protocol": self.protocol,
            "temperature": self.temperature,
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
        if means := self.source_means():
            by_source = {name: _of_source(scores) for name, scores in self.by_source().items()}
            tree |= {"source_means": asdict(means), "by_source": by_source}
        return tree | self._by_image()

    def _by_class(self, values: tuple[float | None, ...]) -> dict[str, float | None]:
        return dict(zip(self.classes.names, values, strict=True))

    def _by_image(self) -> dict:
        """Scores of single images, and the intervals that follow from them."""
        mious = self.areas.image_miou()
        values = [None if np.isnan(value) else float(value) for value in mious]
        return {
            "miou_interval": interval(self.resampled.miou),
            "picture_miou": _mean(mious),
            "picture_miou_interval": interval(self.resampled.image_miou),
            "bootstrap": {"level": LEVEL, "draws": DRAWS, "seed": SEED},
            "picture_mious": dict(zip(self.names, values, strict=True)),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Differences in score of two models on the same images; negative where the first is worse."""

    miou: float
    miou_interval: Interval | None
    image_miou: float | None
    """Mean difference of the images' own mIoU; none if nothing is labelled."""
    image_miou_interval: Interval | None
    better: int
    """Number of images whose own mIoU is higher."""
    worse: int
    equal: int

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        return {
            "miou": self.miou,
            "miou_interval": self.miou_interval,
            "picture_miou": self.image_miou,
            "picture_miou_interval": self.image_miou_interval,
            "better": self.better,
            "worse": self.worse,
            "equal": self.equal,
        }


def compare(ours: Evaluation, theirs: Evaluation) -> Comparison:
    """Scores of `ours` minus those of `theirs`; both are resampled with the same draws of images."""
    assert ours.names == theirs.names, "the two models were scored on different images"
    first, second = ours.resampled, theirs.resampled
    gain = ours.areas.image_miou() - theirs.areas.image_miou()
    return Comparison(
        miou=ours.scores.miou - theirs.scores.miou,
        miou_interval=interval(first.miou - second.miou),
        image_miou=_mean(gain),
        image_miou_interval=interval(first.image_miou - second.image_miou),
        better=int((gain > 0).sum()),
        worse=int((gain < 0).sum()),
        equal=int((gain == 0).sum()),
    )


def _of_source(scores: Scores) -> dict[str, float]:
    return {"miou": scores.miou_of_true, "pixel_accuracy": scores.pixel_accuracy}


def _average(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _mean(values: np.ndarray) -> float | None:
    """Mean of the values that are not nan; none if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def require_labels(evaluation: Evaluation) -> None:
    """Require that something was scored.

    Raises:
        DatasetError: no pixel of all images has a label.
    """
    counts = evaluation.sources
    if counts is None or counts.matrices.any() or counts.allowed.any():
        return
    count, split = len(evaluation.names), evaluation.split
    raise DatasetError(
        f"no pixel of the {count:,} images of split {split!r} has a label, so nothing can be scored",
        advice="label some of them, or score another split",
        setting="split",
    )


def require_same_classes(classes: ClassTable, dataset: LabelledImages) -> None:
    """Raise `DatasetError` if a data set has other classes than a model."""
    if classes.names == dataset.classes.names:
        return
    own, theirs, setting = classes.names, dataset.classes.names, "" if dataset.kind == "mixture" else "merge"
    if sorted(own) == sorted(theirs):
        order = _listed(tuple(f"{name}: [{name}]" for name in own))
        raise DatasetError(
            f"the model has the classes of {dataset.kind} in another order: {_listed(own)}, not {_listed(theirs)}",
            advice=f"merge each class into itself, in the model's order: {{{order}}}",
            setting=setting,
        )
    if len(own) != len(theirs):
        difference = f"{len(own)} classes but {dataset.kind} has {len(theirs)}"
    else:
        first, second = next((one, other) for one, other in zip(own, theirs, strict=True) if one != other)
        difference = f"a class {first!r} where {dataset.kind} has {second!r}"
    raise DatasetError(
        f"the model predicts {difference}",
        advice=f"score it on data with its own classes, or merge those of the data into {_listed(own)}, in this order",
        setting=setting,
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
