"""One pass over a data set: each image segmented and measured, in order, few of them in memory.

chunk of images -- read, prepare --> network --> label, measure --> one result for each image
                     (N threads)      (1 thread)   (N threads)

Scoring: the label maps of a segmenter against a data set's annotations, at the annotations' own sizes.

    image, annotation -- passing -- label map -- Count of one image --+
    image, annotation -- passing -- label map -- Count of one image --+-- added up in order -- Evaluation

Axes: k classes, s sources of a mixture (1 without one).
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int64

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.labelled import plain
from cgrseg.errors import DatasetError
from cgrseg.evaluation.results import BySource, Evaluation
from cgrseg.metrics import allowed_counts, confusion, scores
from cgrseg.metrics.bootstrap import Areas
from cgrseg.metrics.boundaries import boundary_areas, boundary_scores
from cgrseg.metrics.calibration import NOTHING, Reliability, reliability
from cgrseg.predictor import Inferred, Named, Prepared, Segmentation, Segmenter
from cgrseg.predictor.pipeline import overlap
from cgrseg.types import LabelMap

T = TypeVar("T")


class _Asked(NamedTuple):
    """An annotation, and its image as the network takes it."""

    truth: LabelMap
    image: Prepared


class _Answered(NamedTuple):
    """An annotation, and what the network says of its image."""

    truth: LabelMap
    answer: Inferred


def pass_over(
    segmenter: Segmenter,
    dataset: LabelledImages,
    measure: Callable[[LabelMap, Segmentation], T],
    *,
    workers: int = 1,
    batch: int = 1,
) -> Iterator[T]:
    """What `measure` says of the annotation and the answer of each image, in order.

    Args:
        segmenter: what is measured.
        dataset: its images.
        measure: called by several threads where there are several workers.
        workers: threads for each of the first and the last stage; 0 does everything in the caller's.
        batch: images in a chunk; those of one size share a call of the engine.
    """

    def read(chunk: range) -> list[_Asked]:
        return [_Asked(dataset.labels(index), segmenter.prepare(_named(dataset, index))) for index in chunk]

    def infer(asked: list[_Asked]) -> list[_Answered]:
        inferred = segmenter.infer([each.image for each in asked], batch)
        return [_Answered(each.truth, answer) for each, answer in zip(asked, inferred, strict=True)]

    def finish(answered: list[_Answered]) -> list[T]:
        return [measure(each.truth, segmenter.label(each.answer)) for each in answered]

    chunks = [range(start, min(start + batch, len(dataset))) for start in range(0, len(dataset), batch)]
    if workers == 0:
        for chunk in chunks:
            yield from finish(infer(read(chunk)))
        return
    with closing(overlap(chunks, read, infer, finish, workers)) as answers:
        for answer in answers:
            yield from answer.result()


def _named(dataset: LabelledImages, index: int) -> Named:
    pair = dataset.pairs[index]
    return Named(dataset.image(index), pair.name, pair.image)


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
    raise DatasetError(
        f"the model predicts {difference}",
        advice="score it on data with its own classes",
    )


def evaluate(
    segmenter: Segmenter,
    dataset: LabelledImages,
    on_progress: Callable[[int], None] | None = None,
    *,
    boundary: bool = False,
    calibration: bool = False,
    workers: int = 1,
    batch: int = 1,
) -> Evaluation:
    """Score a segmenter on every image of a data set.

    Args:
        segmenter: what `cgrseg.load` gives, on any engine, with any protocol.
        dataset: what `open_dataset` gives; its classes must be the model's.
        on_progress: called after each image with the number done.
        boundary: score the edges of the classes, too.
        calibration: compare confidence with accuracy, too; it costs more than the labels.
        workers: threads that read images, and as many that count, while the network works on others; 0 does one thing
            after the other. The counts are the same.
        batch: images that may share a call of the engine; those of one size do.

    Raises:
        DatasetError: the data set has other classes than the model.
    """
    require_same_classes(segmenter.classes, dataset)
    count = _counting(dataset, boundary=boundary, calibration=calibration)
    tally = _Tally(dataset)
    for index, counted in enumerate(pass_over(segmenter, dataset, count, workers=workers, batch=batch)):
        tally.add(index, counted)
        if on_progress is not None:
            on_progress(index + 1)
    return Evaluation(
        scores=scores(tally.matrices.sum(axis=0), tally.allowed.sum(axis=0)),
        classes=dataset.classes,
        kind=dataset.kind,
        split=dataset.split,
        names=tuple(pair.name for pair in dataset.pairs),
        protocol=segmenter.protocol.describe(segmenter.info.inference),
        matrix=tally.matrices.sum(axis=0),
        areas=tally.areas,
        boundary=boundary_scores(tally.edges) if boundary else None,
        reliability=tally.reliability if calibration else None,
        temperature=segmenter.info.temperature,
        sources=BySource(tuple(dataset.shares), tally.matrices, tally.allowed),
    )


@dataclass(frozen=True, eq=False)
class Count:
    """What one image adds."""

    allowed: Int64[np.ndarray, "2"]
    matrix: Int64[np.ndarray, "k k"]
    edges: Int64[np.ndarray, "2 k"]
    reliability: Reliability


def _counting(
    dataset: LabelledImages, *, boundary: bool, calibration: bool
) -> Callable[[LabelMap, Segmentation], Count]:
    """What counts one image of a data set; labels that allow several classes count for pixel accuracy alone."""
    classes, sets = len(dataset.classes), dataset.sets

    def count(truth: LabelMap, answer: Segmentation) -> Count:
        allowed = allowed_counts(truth, answer.labels, classes, sets)
        truth = plain(truth, classes) if sets else truth
        return Count(
            allowed=allowed,
            matrix=confusion(truth, answer.labels, classes),
            edges=boundary_areas(truth, answer.labels, classes) if boundary else np.zeros((2, classes), np.int64),
            reliability=reliability(truth, answer.labels, answer.confidence) if calibration else NOTHING,
        )

    return count


class _Tally:
    """What has been counted so far."""

    def __init__(self, dataset: LabelledImages) -> None:
        images, classes, names = len(dataset), len(dataset.classes), list(dataset.shares or ("",))
        self.sources = [names.index(pair.source) for pair in dataset.pairs]
        self.matrices = np.zeros((len(names), classes, classes), np.int64)
        self.allowed = np.zeros((len(names), 2), np.int64)
        self.areas = Areas(np.zeros((images, classes), np.int64), np.zeros((images, classes), np.int64))
        self.edges = np.zeros((2, classes), np.int64)
        self.reliability = NOTHING

    def add(self, index: int, counted: Count) -> None:
        """Add the pixels of one image; always in the order of the images, so that floats add up to the same."""
        matrix, source = counted.matrix, self.sources[index]
        self.matrices[source] += matrix
        self.allowed[source] += counted.allowed
        self.areas.hits[index] = matrix.diagonal()
        self.areas.unions[index] = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()
        self.edges += counted.edges
        self.reliability += counted.reliability
