"""Overlapping stages: several items in work at a time, few in memory, results in order; and batching by size.

    items --> first --> second --> third --> results
              item 3    item 2     item 1             at the same moment

Each stage has threads of its own; NumPy, OpenCV, Pillow, the engines and the kernels release the GIL meanwhile.

Axes: k classes, h w grid rows and columns, _H _W rows and columns of a prepared image; `_` where images differ.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Float32

from cgrseg.runtime import Engine

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

AHEAD = 4
"""Items in work: one for each of three stages, and one whose result waits to be fetched."""


def overlap(
    items: Iterable[A], first: Callable[[A], B], second: Callable[[B], C], third: Callable[[C], D], workers: int = 1
) -> Generator[Future[D], None, None]:
    """`third(second(first(item)))` of each item, in order and finished, with at most `AHEAD` of them begun.

    Each function is called by one thread only; with several workers that many threads call the first, and as many the
    third, and two more items are begun for each. What one of them raises is raised by the `result()` of that item, and
    does not touch the others. Nothing begins before the first result is asked for, and closing the iterator ends the
    threads after the calls they are in.
    """
    threads = {"first": workers, "second": 1, "third": workers}
    pools = [ThreadPoolExecutor(count, thread_name_prefix=f"overlap-{stage}") for stage, count in threads.items()]

    def submit(item: A) -> Future[D]:
        begun = pools[0].submit(first, item)
        halfway = pools[1].submit(lambda: second(begun.result()))
        return pools[2].submit(lambda: third(halfway.result()))

    try:
        yield from in_order(items, submit, AHEAD + 2 * (workers - 1))
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def in_order(items: Iterable[A], submit: Callable[[A], Future[B]], ahead: int) -> Generator[Future[B], None, None]:
    """The futures that `submit` gives for the items, each finished, with at most `ahead` of them not fetched yet."""
    waiting: deque[Future[B]] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) >= ahead or waiting[0].done():
            yield _finished(waiting.popleft())
    while waiting:
        yield _finished(waiting.popleft())


def _finished(future: Future[B]) -> Future[B]:
    future.exception()  # waits, and raises nothing
    return future


def run(
    engine: Engine, images: Iterable[Float32[np.ndarray, "3 _ _"]], batch: int
) -> list[Float32[np.ndarray, "k _ _"]]:
    """The logits of each image, in order; up to `batch` images of one size share a call."""
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
    answers: dict[int, np.ndarray] = {}
    for index, image in enumerate(images):
        group = waiting.setdefault(image.shape, [])
        group.append((index, image))
        if len(group) == batch:
            answers |= _call(engine, waiting.pop(image.shape))
    for group in waiting.values():
        answers |= _call(engine, group)
    return [answers[index] for index in range(len(answers))]


def _call(engine: Engine, group: list[tuple[int, np.ndarray]]) -> dict[int, np.ndarray]:
    indices, images = zip(*group, strict=True)
    together = np.ascontiguousarray(images[0][None]) if len(group) == 1 else np.stack(images)
    return dict(zip(indices, engine(together), strict=True))
