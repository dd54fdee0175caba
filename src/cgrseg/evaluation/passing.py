"""One pass over a data set: each picture segmented and measured, in order, few of them in memory.

chunk of pictures -- read, prepare --> network --> label, measure --> one result for each picture
                     (N threads)      (1 thread)   (N threads)
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple, TypeVar

from cgrseg.arrays import LabelMap
from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import DatasetError
from cgrseg.prediction import Inferred, Named, Prepared, Segmentation, Segmenter
from cgrseg.streaming import overlap

T = TypeVar("T")


class _Asked(NamedTuple):
    """An annotation, and its picture as the network takes it."""

    truth: LabelMap
    picture: Prepared


class _Answered(NamedTuple):
    """An annotation, and what the network says of its picture."""

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
    """What `measure` says of the annotation and the answer of each picture, in order.

    Args:
        segmenter: what is measured.
        dataset: its pictures.
        measure: called by several threads where there are several workers.
        workers: threads for each of the first and the last stage; 0 does everything in the caller's.
        batch: pictures in a chunk; those of one size share a call of the engine.
    """

    def read(chunk: range) -> list[_Asked]:
        return [_Asked(dataset.labels(index), segmenter.prepare(_named(dataset, index))) for index in chunk]

    def infer(asked: list[_Asked]) -> list[_Answered]:
        inferred = segmenter.infer([each.picture for each in asked], batch)
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
    raise DatasetError(f"the model predicts {difference}; score it on data with its own classes")
