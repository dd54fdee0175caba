"""Splitting an unsplit data set into training and validation images by content.

    images -- scenes: groups of near-duplicates -- sorted by a digest of their pixels
              -- hold out scenes that put each class on both sides, then more until a fifth is held out

Neither names nor random numbers play a part, so the same images are always split in the same way.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cgrseg.data.datasets import LabelledImages
from cgrseg.data.similarity import Bits, beginnings, digest_of, groups, image_bits, series
from cgrseg.errors import DatasetError
from cgrseg.types import IGNORE

SHARE = 0.2
"""Share of the images to hold out."""
ENOUGH = 20
"""Images to hold out of a small data set, as far as `MOST` allows."""
MOST = 1 / 3
"""Largest share of the images to hold out."""


@dataclass(frozen=True)
class Scene:
    """Images that look alike, and the classes in them."""

    indices: tuple[int, ...]
    """Of the images in the data set."""
    classes: frozenset[int]
    key: str
    """A digest of the pixels and labels of its images."""


@dataclass(frozen=True)
class Split:
    """Which images of a data set are held out."""

    names: tuple[str, ...]
    scenes: int
    """The number of scenes; none is on both sides."""
    one_sided: tuple[str, ...]
    """Names of classes that occur on one side only, such as those of a single scene."""
    videos: tuple[str, ...] | None = None
    """If the images look like frames of videos: the name prefix of each, the shortest first; empty if unclear."""


def split_by_content(dataset: LabelledImages, show: Callable[[int, int], None] | None = None) -> Split:
    """Hold out about a fifth of the images to score on; `show` is called with the number of images done and of all.

    Raises:
        DatasetError: all images look alike, or one cannot be read.
    """
    scenes, are_frames = find_scenes(dataset, show)
    if len(scenes) < 2:
        raise DatasetError(
            f"the {len(dataset)} images of {dataset.split} look like one scene, so none can be held out to score on",
            advice="label images of other places, or put those to score on into images/val and annotations/val",
        )
    held = choose(scenes)
    learnt = set(scenes).difference(held)
    sides = [frozenset[int]().union(*(scene.classes for scene in side)) for side in (held, learnt)]
    one_sided = tuple(dataset.classes.names[label] for label in sorted(sides[0] ^ sides[1]))
    names = sorted(dataset.pairs[index].name for scene in held for index in scene.indices)
    videos = beginnings(pair.name for pair in dataset.pairs) if are_frames else None
    return Split(tuple(names), len(scenes), one_sided, videos)


def find_scenes(dataset: LabelledImages, show: Callable[[int, int], None] | None = None) -> tuple[list[Scene], bool]:
    """The scenes of a data set, sorted by their digests, and whether its images look like frames of videos."""
    facts: list[tuple[Bits | None, bytes, frozenset[int]]] = []
    with ThreadPoolExecutor() as threads:
        for image_facts in threads.map(lambda index: _facts(dataset, index), range(len(dataset))):
            facts.append(image_facts)
            if show:
                show(len(facts), len(dataset))
    scenes = []
    hashes = [bits for bits, _, _ in facts]
    for indices in groups(hashes):
        key = hashlib.sha256(b"".join(sorted(facts[index][1] for index in indices))).hexdigest()
        classes = frozenset[int]().union(*(facts[index][2] for index in indices))
        scenes.append(Scene(tuple(indices), classes, key))
    return sorted(scenes, key=lambda scene: scene.key), bool(series([pair.name for pair in dataset.pairs], hashes))


def _facts(dataset: LabelledImages, index: int) -> tuple[Bits | None, bytes, frozenset[int]]:
    """An image's hash, a digest of its pixels and labels, and its classes."""
    image, labels = dataset.image(index), dataset.labels(index)
    classes = frozenset(np.unique(labels).tolist()) - {IGNORE}
    return image_bits(image), digest_of(image) + digest_of(labels), classes


def choose(scenes: list[Scene]) -> list[Scene]:
    """The scenes to hold out; of every class with two scenes or more, one at least is left to learn from."""
    total = sum(len(scene.indices) for scene in scenes)
    most = int(total * MOST)
    wanted = min(max(round(total * SHARE), ENOUGH), most)
    left = Counter(label for scene in scenes for label in scene.classes)
    missing = {label for label, count in left.items() if count > 1}
    held: dict[Scene, None] = {}
    size = 0

    def fits(scene: Scene, limit: int) -> bool:
        learnable = all(left[label] > 1 for label in scene.classes if label in shared)
        return scene not in held and size + len(scene.indices) <= limit and learnable

    def hold(scene: Scene) -> None:
        nonlocal size
        held[scene] = None
        size += len(scene.indices)
        left.subtract(scene.classes)
        missing.difference_update(scene.classes)

    shared = frozenset(missing)
    while useful := [scene for scene in scenes if scene.classes & missing and fits(scene, most)]:
        hold(max(useful, key=lambda scene: (len(scene.classes & missing) / len(scene.indices), scene.key)))
    for scene in scenes:
        if fits(scene, wanted):
            hold(scene)
    return list(held) or [min(scenes, key=lambda scene: (len(scene.indices), scene.key))]
