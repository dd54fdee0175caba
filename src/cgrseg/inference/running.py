"""Pictures through an engine: one at a time, or several of one size in one call.

Axes: k classes, h w grid rows and columns, _H _W rows and columns of a prepared picture; `_` where pictures differ.
"""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32

from cgrseg.runtime import Engine


def run(
    engine: Engine, pictures: Iterable[Float32[np.ndarray, "3 _ _"]], batch: int
) -> list[Float32[np.ndarray, "k _ _"]]:
    """The logits of each picture, in order; up to `batch` pictures of one size share a call."""
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
    answers: dict[int, np.ndarray] = {}
    for place, picture in enumerate(pictures):
        group = waiting.setdefault(picture.shape, [])
        group.append((place, picture))
        if len(group) == batch:
            answers |= _call(engine, waiting.pop(picture.shape))
    for group in waiting.values():
        answers |= _call(engine, group)
    return [answers[place] for place in range(len(answers))]


def _call(engine: Engine, group: list[tuple[int, np.ndarray]]) -> dict[int, np.ndarray]:
    places, pictures = zip(*group, strict=True)
    together = np.ascontiguousarray(pictures[0][None]) if len(group) == 1 else np.stack(pictures)
    return dict(zip(places, engine(together), strict=True))
