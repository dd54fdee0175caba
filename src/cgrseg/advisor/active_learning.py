"""Which pictures to label next: those of which the network is least sure.

    pictures without labels -- confidence of each pixel -- mean of 1 - confidence: the highest first
                            -- not those that look like a labelled picture, or like one already on the list

Axes: H W picture rows and columns, k classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgrseg.data.images import find_images
from cgrseg.data.similarity import Bits, near_duplicates, picture_bits, signs
from cgrseg.predictor import Failure, Segmentation, Segmenter

COUNT = 10
"""Pictures on the list."""
NOTABLE = 0.2
"""A class is named if at least this share of a picture's uncertainty lies in it."""


@dataclass(frozen=True)
class Candidate:
    """A picture that is worth labelling."""

    path: Path
    uncertainty: float
    """Mean over its pixels of 1 - confidence, 0..1."""
    classes: tuple[str, ...]
    """The labels in which most of the uncertainty lies."""


@dataclass(frozen=True)
class Ranking:
    """The pictures to label next, and what became of the others."""

    candidates: tuple[Candidate, ...]
    pictures: int
    """How many were looked at."""
    alike: int
    """How many of them look like a labelled picture or like another on the list, and were passed over."""
    unreadable: tuple[str, ...] = ()
    """What is wrong with those that could not be read."""


def rank_unlabelled(
    segmenter: Segmenter,
    folder: Path,
    labelled: Sequence[Bits | None],
    show: Callable[[int, int], None] | None = None,
) -> Ranking:
    """The pictures of a folder that the network is least sure of.

    Args:
        segmenter: the trained network.
        folder: pictures without labels, also in folders below it.
        labelled: the hashes of the labelled pictures.
        show: called with the pictures done, and all of them.

    Raises:
        ImageError: the folder holds no pictures.
    """
    total = len(find_images(folder))
    found, faults = list[tuple[Candidate, Bits | None]](), list[str]()
    for done, answer in enumerate(segmenter.stream(folder), start=1):
        if isinstance(answer, Failure):
            faults.append(str(answer.error))
        else:
            found.append((candidate(answer), picture_bits(answer.image)))
        if show:
            show(done, total)
    found.sort(key=lambda each: (-each[0].uncertainty, str(each[0].path)))
    chosen, alike = _unlike(found, [bits for bits in labelled if bits is not None])
    return Ranking(tuple(chosen), total, alike, tuple(faults))


def candidate(answer: Segmentation) -> Candidate:
    """How unsure the network is of a picture, and of which of its labels."""
    doubt = 1 - answer.confidence.astype(np.float64)
    by_class = np.bincount(answer.labels.ravel(), doubt.ravel(), minlength=len(answer.classes))
    order = np.argsort(-by_class, kind="stable")
    notable = [label for label in order if by_class[label] > NOTABLE * by_class.sum()] or order[:1]
    assert answer.source is not None, "a stream's answers come from files"
    return Candidate(answer.source, float(doubt.mean()), tuple(answer.classes.names[label] for label in notable))


def _unlike(found: list[tuple[Candidate, Bits | None]], known: list[Bits]) -> tuple[list[Candidate], int]:
    """The first that look like no known picture and like none before them, and how many were passed over."""
    chosen, alike = list[Candidate](), 0
    for each, bits in found:
        if len(chosen) == COUNT:
            break
        if bits is not None and near_duplicates(signs([bits]), signs(known)):
            alike += 1
            continue
        chosen.append(each)
        known = known if bits is None else [*known, bits]
    return chosen, alike
