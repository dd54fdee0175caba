"""Images in memory whose labels the colour engine finds or misses, as many as a test likes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from support.colour_engine import CLASSES

from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.labelled import Pair, lookup_of
from cgrseg.errors import ImageError

SIZES = ((40, 56), (64, 64), (40, 56), (30, 90))


@dataclass(frozen=True, eq=False)
class Drawn(LabelledImages):
    """Noise of two sizes and more; the label is the strongest colour, wrong or missing in places."""

    broken: int | None = None
    watch: Callable[[np.ndarray], None] = field(default=lambda array: None)

    def image(self, index: int) -> np.ndarray:
        if index == self.broken:
            raise ImageError(f"{self.pairs[index].image} is damaged or cut short")
        image = enlarged(colours(index), index)
        self.watch(image)
        return image

    def labels(self, index: int) -> np.ndarray:
        labels = enlarged(colours(index).argmax(axis=2).astype(np.uint8), index)
        noise = np.random.default_rng(index).random(labels.shape)
        labels[noise < 0.2] = index % 3
        labels[noise > 0.9] = 255
        return labels


def colours(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 40, (5, 7, 3), np.uint8)


def enlarged(small: np.ndarray, index: int) -> np.ndarray:
    height, width = SIZES[index % len(SIZES)]
    return np.ascontiguousarray(small.repeat(18, axis=0).repeat(13, axis=1)[:height, :width])


@pytest.fixture
def drawn() -> Callable[..., Drawn]:
    """Makes a data set of so many images."""

    def draw(count: int, **settings: object) -> Drawn:
        pairs = tuple(
            Pair(f"{index}", Path(f"images/{index}.png"), Path(f"labels/{index}.png")) for index in range(count)
        )
        return Drawn("folder", "val", CLASSES, pairs, lookup_of(range(3)), **settings)

    return draw
