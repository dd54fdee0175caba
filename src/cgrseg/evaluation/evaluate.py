"""Scoring: the label maps of a segmenter against a data set's annotations, at the annotations' own sizes.

    image, annotation -- read, prepare --> network --> label, count -- Count of one image --+
    image, annotation -- read, prepare --> network --> label, count -- Count of one image --+-- sum --> Evaluation
                          (N threads)    (1 thread)     (N threads)

Images pass through in order, in chunks of `batch`, and only a few of them are in memory at a time.

Axes: k classes, s sources of a mixture (1 without one).
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int64

from cgrseg.config import Kind, Merge
from cgrseg.data.datasets import LabelledImages, open_dataset, without_held_out
from cgrseg.data.datasets.labelled import plain
from cgrseg.data.mixture import open_mixture, require_sources
from cgrseg.evaluation.results import BySource, Evaluation, require_labels, require_same_classes
from cgrseg.metrics import allowed_counts, confusion, scores
from cgrseg.metrics.bootstrap import Areas
from cgrseg.metrics.boundaries import boundary_areas, boundary_scores
from cgrseg.metrics.calibration import NOTHING, Reliability, reliability
from cgrseg.predictor import Inferred, Named, Prepared, Segmentation, Segmenter
from cgrseg.predictor.pipeline import overlap
from cgrseg.types import LabelMap

T = TypeVar("T")


class _Input(NamedTuple):
    """An annotation and its image, prepared for the network."""

    truth: LabelMap
    image: Prepared


class _Output(NamedTuple):
    """An annotation and the network's output for its image."""

    truth: LabelMap
    inferred: Inferred


def pass_over(
    segmenter: Segmenter,
    dataset: LabelledImages,
    measure: Callable[[LabelMap, Segmentation], T],
    *,
    workers: int = 1,
    batch: int = 1,
) -> Iterator[T]:
    """Yield `measure(annotation, segmentation)` for each image, in order.

    Args:
        segmenter: segments the images.
        dataset: the labelled images.
        measure: called from several threads if there are several workers.
        workers: threads that read, and as many that label and measure; 0 runs everything in the caller's thread.
        batch: images in a chunk; those of the same size share a call of the engine.
    """
    dataset = dataset.with_levels(segmenter.info.levels)

    def read(chunk: range) -> list[_Input]:
        return [_Input(dataset.labels(index), segmenter.prepare(_named(dataset, index))) for index in chunk]

    def infer(inputs: list[_Input]) -> list[_Output]:
        results = segmenter.infer([item.image for item in inputs], batch)
        return [_Output(item.truth, inferred) for item, inferred in zip(inputs, results, strict=True)]

    def finish(outputs: list[_Output]) -> list[T]:
        return [measure(item.truth, segmenter.label(item.inferred)) for item in outputs]

    chunks = [range(start, min(start + batch, len(dataset))) for start in range(0, len(dataset), batch)]
    if workers == 0:
        for chunk in chunks:
            yield from finish(infer(read(chunk)))
        return
    with closing(overlap(chunks, read, infer, finish, workers)) as results:
        for result in results:
            yield from result.result()


def _named(dataset: LabelledImages, index: int) -> Named:
    pair = dataset.pairs[index]
    return Named(dataset.image(index), pair.name, pair.image)


def evaluate(
    segmenter: Segmenter,
    dataset: LabelledImages,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    boundary: bool = False,
    calibration: bool = False,
    workers: int = 1,
    batch: int = 1,
) -> Evaluation:
    """Score a segmenter on every image of a data set.

    Args:
        segmenter: from `cgrseg.load`, on any engine, with any protocol.
        dataset: from `open_dataset`; its classes must be those of the model.
        on_progress: called as `on_progress(done, total)` after each image.
        boundary: also score the edges of the classes (Boundary IoU).
        calibration: also compare confidence with accuracy; this takes longer than the labels.
        workers: threads that read images, and as many that count, while the network runs on others; 0 runs one step
            after the other. The counts do not depend on it.
        batch: images that may share a call of the engine; those of the same size do.

    Raises:
        DatasetError: the data set has other classes than the model, or no labels.
    """
    whole = evaluate_part(
        segmenter, dataset, on_progress, boundary=boundary, calibration=calibration, workers=workers, batch=batch
    )
    require_labels(whole)
    return whole


def evaluate_part(
    segmenter: Segmenter,
    dataset: LabelledImages,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    boundary: bool = False,
    calibration: bool = False,
    workers: int = 1,
    batch: int = 1,
) -> Evaluation:
    """The same for the images of one of several processes, which may have no labels, or be none at all."""
    require_same_classes(segmenter.classes, dataset)
    count = _counting(dataset, boundary=boundary, calibration=calibration)
    tally = _Tally(dataset)
    for index, counts in enumerate(pass_over(segmenter, dataset, count, workers=workers, batch=batch)):
        tally.add(index, counts)
        if on_progress is not None:
            on_progress(index + 1, len(dataset))
    return Evaluation(
        scores=scores(tally.matrices.sum(axis=0), tally.allowed.sum(axis=0)),
        classes=dataset.classes,
        kind=dataset.kind,
        split=dataset.split,
        names=tuple(pair.name for pair in dataset.pairs),
        protocol=segmenter.protocol.describe(segmenter.info.inference),
        matrix=tally.matrices.sum(axis=0),
        areas=tally.areas,
        images_of_class=tally.images_of_class,
        boundary=boundary_scores(tally.edges) if boundary else None,
        reliability=tally.reliability if calibration else None,
        temperature=segmenter.info.temperature,
        sources=BySource(tuple(dataset.shares), tally.matrices, tally.allowed),
    )


@dataclass(frozen=True, eq=False)
class Count:
    """Counts of one image."""

    allowed: Int64[np.ndarray, "2"]
    matrix: Int64[np.ndarray, "k k"]
    edges: Int64[np.ndarray, "2 k"]
    reliability: Reliability


def _counting(
    dataset: LabelledImages, *, boundary: bool, calibration: bool
) -> Callable[[LabelMap, Segmentation], Count]:
    """A function that counts one image; labels that allow several classes only count for pixel accuracy."""
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
    """Running totals."""

    def __init__(self, dataset: LabelledImages) -> None:
        images, classes, names = len(dataset), len(dataset.classes), list(dataset.shares or ("",))
        self.sources = [names.index(pair.source) for pair in dataset.pairs]
        self.matrices = np.zeros((len(names), classes, classes), np.int64)
        self.allowed = np.zeros((len(names), 2), np.int64)
        self.areas = Areas(np.zeros((images, classes), np.int64), np.zeros((images, classes), np.int64))
        self.images_of_class = np.zeros(classes, np.int64)
        self.edges = np.zeros((2, classes), np.int64)
        self.reliability = NOTHING

    def add(self, index: int, counts: Count) -> None:
        """Add the counts of one image; called in the order of the images, so that sums of floats are reproducible."""
        matrix, source = counts.matrix, self.sources[index]
        self.matrices[source] += matrix
        self.allowed[source] += counts.allowed
        self.areas.hits[index] = matrix.diagonal()
        self.areas.unions[index] = matrix.sum(axis=0) + matrix.sum(axis=1) - matrix.diagonal()
        self.images_of_class += matrix.any(axis=1)
        self.edges += counts.edges
        self.reliability += counts.reliability


logger = logging.getLogger(__name__)


def sources_of(segmenter: Segmenter) -> Mapping[str, object]:
    """The sources that the weights were trained on, by name; empty if they were trained on one data set."""
    recipe = segmenter.info.recipe
    return recipe.sources if recipe else {}


def open_sources_for(segmenter: Segmenter, paths: Mapping[str, Path], split: str = "val") -> LabelledImages:
    """Some or all sources of the weights' recipe as one data set.

    Args:
        segmenter: weights trained on several sources.
        paths: folder of each source.
        split: of every source.

    Raises:
        DatasetError: the recipe has no source of that name, or the files are missing or malformed.
    """
    recipe = segmenter.info.recipe
    sources = recipe.sources if recipe else {}
    require_sources(sources, dict(paths))
    given = {name: source for name, source in sources.items() if name in paths}
    return open_mixture(given, segmenter.classes, dict(paths), split)


def open_dataset_for(
    segmenter: Segmenter, kind: Kind, path: Path, split: str = "val", merge: Merge | None = None
) -> LabelledImages:
    """One data set, with the weights' classes; on `train`, images that their recipe holds out are left out.

    Args:
        segmenter: the weights.
        kind: the layout of the files.
        path: the folder.
        split: `val`, `test`, `train`, or `holdout` for the images that the recipe holds out.
        merge: new classes, each with the old ones it is made of; those of the recipe unless given.

    Raises:
        DatasetError: the files are missing or malformed.
    """
    recipe = segmenter.info.recipe
    hold_out = recipe.data.hold_out if recipe else ""
    merge = merge or (recipe.data.merge if recipe and recipe.data.kind == kind else {})
    if split != "train" or not hold_out:
        return open_dataset(kind, path, split, hold_out, segmenter.classes, merge)
    train = open_dataset(kind, path, split, classes=segmenter.classes, merge=merge)
    trained_on = without_held_out(train, hold_out)
    if trained_on is None:
        logger.info("%s is scored whole: the images that the weights' recipe holds out are not in it", path)
        return train
    return trained_on
