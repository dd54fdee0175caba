"""The line before a model: bounded, and whoever gives up leaves it.

    place in line -- decode, prepare --> engine --> label, encode --> answer
    (503 if none)    (a few threads)   (1 thread)   (a few threads)

Work that waits for a thread is a future; a deadline that passes and a client that leaves cancel it, so it never runs.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

from cgrseg.predictor import Inferred, Named, Prepared, Segmentation, Segmenter
from cgrseg.serving.http_errors import before, busy
from cgrseg.serving.metrics import Counters
from cgrseg.serving.models import Model
from cgrseg.types import Image

T = TypeVar("T")

DECODED = (os.cpu_count() or 1) + 2
"""Images of a model that are decoded at a time: those that wait longer are kept as the bytes that came."""


class Line:
    """The line before one model; lives in one event loop."""

    def __init__(self, model: Model, limit: int, pool: Executor, counters: Counters) -> None:
        """`pool` decodes and encodes, for all models."""
        self.model, self.limit = model, limit
        self._pool, self._counters = pool, counters
        self._taken = 0
        self._decoded = asyncio.Semaphore(DECODED)
        self._depth = counters.depth(model.name)
        self._depth.set(0)

    def require_place(self) -> None:
        """Say at once whether it is of any use to wait.

        Raises:
            Refusal: the model is not ready, or its line is full.
        """
        self.model.require()
        if self._taken >= self.limit:
            raise busy(self.model.name, self.limit)

    async def segment(self, decode: Callable[[], Image], encode: Callable[[Segmentation], T], deadline: float) -> T:
        """What `encode` makes of the segmented image; both are called in threads.

        Args:
            decode: gives the image.
            encode: makes the answer.
            deadline: by the clock of the event loop.

        Raises:
            Refusal: there is no place, or the deadline passed.
            ImageError: it is no image.
        """
        segmenter = self.model.require()
        with self._place():
            async with before(deadline), self._decoded:
                return await self._work(segmenter, decode, encode)

    @contextmanager
    def _place(self) -> Iterator[None]:
        self.require_place()
        self._taken += 1
        self._depth.inc()
        try:
            yield
        finally:
            self._taken -= 1
            self._depth.dec()

    async def _work(self, segmenter: Segmenter, decode: Callable[[], Image], encode: Callable[[Segmentation], T]) -> T:
        loop = asyncio.get_running_loop()
        clock = self._counters.clock(self.model.name, segmenter.engine.name)

        def prepare() -> Prepared:
            with clock.time("decode"):
                return segmenter.prepare(Named(decode(), "picture", None))

        prepared = await loop.run_in_executor(self._pool, prepare)
        asked = perf_counter()

        def infer() -> Inferred:
            clock.add("queue", perf_counter() - asked)
            with clock.time("compute"):
                return segmenter.infer([prepared])[0]

        inferred = await loop.run_in_executor(self.model.engine_thread, infer)

        def finish() -> T:
            with clock.time("encode"):
                return encode(segmenter.label(inferred))

        return await loop.run_in_executor(self._pool, finish)
