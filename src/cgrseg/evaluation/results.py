"""What an evaluation finds, and how two of them differ.

    Evaluation -- scores, protocol, areas of each image --+-- as_tree --> JSON
    Evaluation ---------------------------------------------+-- compare --> Comparison

Axes: k classes.
"""

from dataclasses import asdict, dataclass, field

import numpy as np
from jaxtyping import Int64

from cgrseg.classes import ClassTable
from cgrseg.metrics import Scores, scores
from cgrseg.metrics.bootstrap import DRAWS, LEVEL, SEED, Areas, Interval, interval, resample
from cgrseg.metrics.boundaries import BoundaryScores
from cgrseg.metrics.calibration import Reliability


@dataclass(frozen=True, eq=False)
class BySource:
    """The counts of each source of a mixture; those of several processes add up."""

    names: tuple[str, ...]
    """Empty without a mixture, where there is one row of counts."""
    matrices: Int64[np.ndarray, "s k k"] = field(repr=False)
    allowed: Int64[np.ndarray, "s 2"] = field(repr=False)
    """Pixels that may be one of several classes: those that are right, and all."""

    def scores(self) -> dict[str, Scores]:
        """The scores of each source."""
        counts = zip(self.names, self.matrices, self.allowed, strict=bool(self.names))
        return {name: scores(matrix, allowed) for name, matrix, allowed in counts}


@dataclass(frozen=True)
class SourceMeans:
    """Means over the sources of a mixture, large and small alike."""

    miou: float
    """Of the mIoU over the classes in the truth of the source; over the sources that have any."""
    pixel_accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The scores of one model on one split, and what they were measured on."""

    scores: Scores
    classes: ClassTable
    kind: str
    split: str
    names: tuple[str, ...]
    """Of the images."""
    protocol: str
    """How images were shown to the network, in a line."""
    matrix: Int64[np.ndarray, "k k"] = field(repr=False)
    """Pixels of each true class (row) that were labelled as each class (column)."""
    areas: Areas = field(repr=False)
    """Of each image, in the order of the names."""
    boundary: BoundaryScores | None = None
    """Where it was asked for."""
    reliability: Reliability | None = None
    """Where it was asked for."""
    temperature: float = 1.0
    """Of the weights; it divides the logits that confidence comes from."""
    sources: BySource | None = None
    """What was counted in each source of a mixture."""

    def by_source(self) -> dict[str, Scores]:
        """The scores of each source of a mixture; empty without one."""
        return self.sources.scores() if self.sources else {}

    def source_means(self) -> SourceMeans | None:
        """The means over the sources of a mixture."""
        found = list(self.by_source().values())
        mious = [each.miou_of_true for each in found if each.pixels]
        accuracies = [each.pixel_accuracy for each in found]
        return SourceMeans(_average(mious), _average(accuracies)) if found else None

    @property
    def headline(self) -> float:
        """The score that the best weights are chosen by: mIoU; of a mixture, its mean over the sources."""
        means = self.source_means()
        return self.scores.miou if means is None else means.miou

    @property
    def images(self) -> int:
        """How many were scored."""
        return len(self.names)

    def as_tree(self) -> dict:
        """Plain values for JSON; scores are 0..1, the IoU of a class in neither truth nor prediction is null."""
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
            by_source = {name: _of_source(found) for name, found in self.by_source().items()}
            tree |= {"source_means": asdict(means), "by_source": by_source}
        return tree | self._by_image()

    def _by_class(self, values: tuple[float | None, ...]) -> dict[str, float | None]:
        return dict(zip(self.classes.names, values, strict=True))

    def _by_image(self) -> dict:
        """What is known only image by image."""
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
    """How much better one model is than another on the same images; below 0 where it is worse."""

    miou: float
    miou_interval: Interval | None
    picture_miou: float | None
    """Mean over the images of the difference of their own mIoU; none where nothing is labelled."""
    picture_miou_interval: Interval | None
    better: int
    """Images whose own mIoU is higher."""
    worse: int
    equal: int

    def as_tree(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def compare(ours: Evaluation, theirs: Evaluation) -> Comparison:
    """Our scores minus theirs, with the interval over samples of images in which both are scored."""
    assert ours.names == theirs.names, "two models are compared on the same images"
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


def _of_source(found: Scores) -> dict[str, float]:
    return {"miou": found.miou_of_true, "pixel_accuracy": found.pixel_accuracy}


def _average(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _mean(values: np.ndarray) -> float | None:
    """The mean of those that are known."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
