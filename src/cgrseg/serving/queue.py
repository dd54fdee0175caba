"""Bounded queue in front of a model.

    slot in the queue -- decode --> prepare --> engine --> label, encode --> response
    (503 if none)      (processes) (threads)  (1 thread)    (threads)

Work that waits for a thread is a future. A passed deadline or a closed connection cancels it, so it never runs; it ends
the process that decodes the image.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from time import perf_counter
from typing import TypeVar

from cgrseg.predictor import Inferred, Named, Prepared, Segmentation, Segmenter
from cgrseg.serving.decoding import Source
from cgrseg.serving.http_errors import enforce_deadline, queue_full
from cgrseg.serving.metrics import Metrics
from cgrseg.serving.models import Model

T = TypeVar("T")

MAX_DECODED = (os.cpu_count() or 1) + 2
"""Images of a model that are in memory as pixels; those that wait longer are kept as encoded files."""


class RequestQueue:
    """The queue in front of one model, for one event loop.

    Args:
        model: segments the images.
        limit: images that the model has in hand at most, from waiting to encoded.
        pool: threads that prepare and encode, shared by all models.
        metrics: counts the images and times their stages.
    """

    def __init__(self, model: Model, limit: int, pool: Executor, metrics: Metrics) -> None:
        self.model, self.limit = model, limit
        self._pool, self._metrics = pool, metrics
        self._in_hand = 0
        self._decoded = asyncio.Semaphore(MAX_DECODED)
        self._depth = metrics.depth(model.name)
        self._depth.set(0)

    def require_capacity(self) -> None:
        """Check that one more image would be accepted now.

        Raises:
            RequestError: the model is not ready, or its queue is full.
        """
        self.model.require()
        if self._in_hand >= self.limit:
            raise queue_full(self.model.name, self.limit)

    async def segment(self, source: Source, encode: Callable[[Segmentation], T], deadline: float) -> T:
        """Segment an image and encode the result.

        Args:
            source: of the image.
            encode: turns the result into the response, in a thread.
            deadline: a time of the event loop's clock.

        Raises:
            RequestError: the model is not ready, its queue is full, or the deadline passed.
            ImageError: the image cannot be decoded.
        """
        segmenter = self.model.require()
        with self._slot():
            async with enforce_deadline(deadline), AsyncExitStack() as until_encoded:
                async with source.turn:
                    await until_encoded.enter_async_context(self._decoded)
                    prepared = await self._prepare(segmenter, source)
                return await self._run_stages(segmenter, prepared, encode)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        self.require_capacity()
        self._in_hand += 1
        self._depth.inc()
        try:
            yield
        finally:
            self._in_hand -= 1
            self._depth.dec()

    async def _prepare(self, segmenter: Segmenter, source: Source) -> Prepared:
        with self._metrics.stage_timer(self.model.name, segmenter.engine.name).time("decode"):
            named = Named(await source.decode(segmenter.info.levels), "image", None)
            return await asyncio.get_running_loop().run_in_executor(self._pool, segmenter.prepare, named)

    async def _run_stages(self, segmenter: Segmenter, prepared: Prepared, encode: Callable[[Segmentation], T]) -> T:
        loop = asyncio.get_running_loop()
        timer = self._metrics.stage_timer(self.model.name, segmenter.engine.name)
        queued = perf_counter()

        def infer() -> Inferred:
            timer.add("queue", perf_counter() - queued)
            with timer.time("compute"):
                return segmenter.infer([prepared])[0]

        inferred = await loop.run_in_executor(self.model.engine_thread, infer)

        def finish() -> T:
            with timer.time("encode"):
                return encode(segmenter.label(inferred))

        return await loop.run_in_executor(self._pool, finish)
