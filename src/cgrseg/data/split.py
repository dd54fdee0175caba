"""Splitting a data set by what its images show, where nobody has split it.

    images -- scenes: near-duplicates together -- in an order that content alone gives
             -- first the scenes that put each class on both sides, then more until a fifth is held out

Names, their order and chance decide nothing, so the same images are always split in the same way.
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
"""Of the images, so many are held out."""
ENOUGH = 20
"""Images that a score should rest on, if that leaves two thirds to learn from."""
MOST = 1 / 3
"""Of the images, at most so many are held out."""


@dataclass(frozen=True)
class Scene:
    """Images that look alike, and the classes in them."""

    places: tuple[int, ...]
    classes: frozenset[int]
    key: str
    """Depends on the pixels of its images alone."""


@dataclass(frozen=True)
class Split:
    """Which images of a data set are held out."""

    names: tuple[str, ...]
    scenes: int
    """Groups of images that look alike; no group is on both sides."""
    one_sided: tuple[str, ...]
    """Classes that are in one scene only, or that could not be put on both sides."""
    videos: tuple[str, ...] | None = None
    """Where images look like frames of videos: how the names of each begin, the shortest first, if that is plain."""


def split_by_content(dataset: LabelledImages, show: Callable[[int, int], None] | None = None) -> Split:
    """Choose the images to score on, about a fifth; `show` is called with the images done, and all of them.

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
    names = sorted(dataset.pairs[place].name for scene in held for place in scene.places)
    videos = beginnings(pair.name for pair in dataset.pairs) if are_frames else None
    return Split(tuple(names), len(scenes), one_sided, videos)


def find_scenes(dataset: LabelledImages, show: Callable[[int, int], None] | None = None) -> tuple[list[Scene], bool]:
    """Groups of images that look alike, in an order that their content gives; and whether they are frames."""
    looks: list[tuple[Bits | None, bytes, frozenset[int]]] = []
    with ThreadPoolExecutor() as threads:
        for look in threads.map(lambda place: _look(dataset, place), range(len(dataset))):
            looks.append(look)
            if show:
                show(len(looks), len(dataset))
    scenes = []
    hashes = [bits for bits, _, _ in looks]
    for places in groups(hashes):
        key = hashlib.sha256(b"".join(sorted(looks[place][1] for place in places))).hexdigest()
        classes = frozenset[int]().union(*(looks[place][2] for place in places))
        scenes.append(Scene(tuple(places), classes, key))
    return sorted(scenes, key=lambda scene: scene.key), bool(series([pair.name for pair in dataset.pairs], hashes))


def _look(dataset: LabelledImages, place: int) -> tuple[Bits | None, bytes, frozenset[int]]:
    """An image's hash, a digest of its pixels and labels, and its classes."""
    image, labels = dataset.image(place), dataset.labels(place)
    classes = frozenset(np.unique(labels).tolist()) - {IGNORE}
    return image_bits(image), digest_of(image) + digest_of(labels), classes


def choose(scenes: list[Scene]) -> list[Scene]:
    """The scenes to hold out; a class of two scenes or more always keeps one to learn from."""
    total = sum(len(scene.places) for scene in scenes)
    most = int(total * MOST)
    wanted = min(max(round(total * SHARE), ENOUGH), most)
    left = Counter(label for scene in scenes for label in scene.classes)
    missing = {label for label, count in left.items() if count > 1}
    held: dict[Scene, None] = {}
    size = 0

    def fits(scene: Scene, limit: int) -> bool:
        learnable = all(left[label] > 1 for label in scene.classes if label in shared)
        return scene not in held and size + len(scene.places) <= limit and learnable

    def hold(scene: Scene) -> None:
        nonlocal size
        held[scene] = None
        size += len(scene.places)
        left.subtract(scene.classes)
        missing.difference_update(scene.classes)

    shared = frozenset(missing)
    while useful := [scene for scene in scenes if scene.classes & missing and fits(scene, most)]:
        hold(max(useful, key=lambda scene: (len(scene.classes & missing) / len(scene.places), scene.key)))
    for scene in scenes:
        if fits(scene, wanted):
            hold(scene)
    return list(held) or [min(scenes, key=lambda scene: (len(scene.places), scene.key))]
