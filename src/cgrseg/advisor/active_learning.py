"""Active learning: choose the unlabelled images that the network is least sure of to label next.

    unlabelled images -- confidence of each pixel -- mean of 1 - confidence, highest first
                      -- without near-duplicates of labelled images and of each other

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
"""Length of the ranking."""
NOTABLE = 0.2
"""A class is named if it holds more than this share of an image's uncertainty."""


@dataclass(frozen=True)
class Candidate:
    """An unlabelled image and how unsure the network is of it."""

    path: Path
    uncertainty: float
    """Mean of 1 - confidence over the pixels, 0..1."""
    classes: tuple[str, ...]
    """The predicted classes that hold most of the uncertainty, largest share first."""


@dataclass(frozen=True)
class Ranking:
    """The images to label next, and counts of the others."""

    candidates: tuple[Candidate, ...]
    images: int
    """Number of unlabelled images."""
    alike: int
    """Number of images skipped as near-duplicates of a labelled image or of another candidate."""
    unreadable: tuple[str, ...] = ()
    """Error messages of the images that could not be read."""


def rank_unlabelled(
    segmenter: Segmenter,
    folder: Path,
    labelled: Sequence[Bits | None],
    on_progress: Callable[[int, int], None] | None = None,
) -> Ranking:
    """Rank the images of a folder by how unsure the network is of them.

    Args:
        segmenter: the trained network.
        folder: unlabelled images, including those in subfolders.
        labelled: hashes of the labelled images, from `image_bits`; None is ignored.
        on_progress: called with the number of images done and of all images.

    Raises:
        ImageError: the folder contains no images.
    """
    total = len(find_images(folder))
    candidates, errors = list[tuple[Candidate, Bits | None]](), list[str]()
    for done, result in enumerate(segmenter.stream(folder), start=1):
        if isinstance(result, Failure):
            errors.append(str(result.error))
        else:
            candidates.append((candidate(result), image_bits(result.image)))
        if on_progress:
            on_progress(done, total)
    candidates.sort(key=lambda entry: (-entry[0].uncertainty, str(entry[0].path)))
    chosen, alike = _without_duplicates(candidates, [bits for bits in labelled if bits is not None])
    return Ranking(tuple(chosen), total, alike, tuple(errors))


def candidate(result: Segmentation) -> Candidate:
    """Measure how unsure the network is of an image, and in which of the predicted classes."""
    uncertainty = 1 - result.confidence.astype(np.float64)
    by_class = np.bincount(result.labels.ravel(), uncertainty.ravel(), minlength=len(result.classes))
    order = np.argsort(-by_class, kind="stable")
    notable = [label for label in order if by_class[label] > NOTABLE * by_class.sum()] or order[:1]
    assert result.source is not None, "a stream's results come from files"
    return Candidate(result.source, float(uncertainty.mean()), tuple(result.classes.names[label] for label in notable))


def _without_duplicates(
    candidates: list[tuple[Candidate, Bits | None]], known: list[Bits]
) -> tuple[list[Candidate], int]:
    """The first `COUNT` candidates without near-duplicates of known images or each other, and the number skipped."""
    chosen, alike = list[Candidate](), 0
    for entry, bits in candidates:
        if len(chosen) == COUNT:
            break
        if bits is not None and near_duplicates(signs([bits]), signs(known)):
            alike += 1
            continue
        chosen.append(entry)
        known = known if bits is None else [*known, bits]
    return chosen, alike
