"""Which images to label next: those of which the network is least sure.

    images without labels -- confidence of each pixel -- mean of 1 - confidence: the highest first
                            -- not those that look like a labelled image, or like one already on the list

Axes: H W image rows and columns, k classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgrseg.data.images import find_images
from cgrseg.data.similarity import Bits, image_bits, near_duplicates, signs
from cgrseg.predictor import Failure, Segmentation, Segmenter

COUNT = 10
"""Images on the list."""
NOTABLE = 0.2
"""A class is named if at least this share of an image's uncertainty lies in it."""


@dataclass(frozen=True)
class Candidate:
    """An image that is worth labelling."""

    path: Path
    uncertainty: float
    """Mean over its pixels of 1 - confidence, 0..1."""
    classes: tuple[str, ...]
    """The labels in which most of the uncertainty lies."""


@dataclass(frozen=True)
class Ranking:
    """The images to label next, and what became of the others."""

    candidates: tuple[Candidate, ...]
    images: int
    """How many were looked at."""
    alike: int
    """How many of them look like a labelled image or like another on the list, and were passed over."""
    unreadable: tuple[str, ...] = ()
    """What is wrong with those that could not be read."""


def rank_unlabelled(
    segmenter: Segmenter,
    folder: Path,
    labelled: Sequence[Bits | None],
    on_progress: Callable[[int, int], None] | None = None,
) -> Ranking:
    """The images of a folder that the network is least sure of.

    Args:
        segmenter: the trained network.
        folder: images without labels, also in folders below it.
        labelled: the hashes of the labelled images.
        on_progress: called with the images done, and all of them.

    Raises:
        ImageError: the folder holds no images.
    """
    total = len(find_images(folder))
    found, faults = list[tuple[Candidate, Bits | None]](), list[str]()
    for done, answer in enumerate(segmenter.stream(folder), start=1):
        if isinstance(answer, Failure):
            faults.append(str(answer.error))
        else:
            found.append((candidate(answer), image_bits(answer.image)))
        if on_progress:
            on_progress(done, total)
    found.sort(key=lambda each: (-each[0].uncertainty, str(each[0].path)))
    chosen, alike = _unlike(found, [bits for bits in labelled if bits is not None])
    return Ranking(tuple(chosen), total, alike, tuple(faults))


def candidate(answer: Segmentation) -> Candidate:
    """How unsure the network is of an image, and of which of its labels."""
    doubt = 1 - answer.confidence.astype(np.float64)
    by_class = np.bincount(answer.labels.ravel(), doubt.ravel(), minlength=len(answer.classes))
    order = np.argsort(-by_class, kind="stable")
    notable = [label for label in order if by_class[label] > NOTABLE * by_class.sum()] or order[:1]
    assert answer.source is not None, "a stream's answers come from files"
    return Candidate(answer.source, float(doubt.mean()), tuple(answer.classes.names[label] for label in notable))


def _unlike(found: list[tuple[Candidate, Bits | None]], known: list[Bits]) -> tuple[list[Candidate], int]:
    """The first that look like no known image and like none before them, and how many were passed over."""
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
