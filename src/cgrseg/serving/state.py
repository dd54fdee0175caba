"""State that lives as long as the server: settings, models with their queues, threads and metrics."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi import Request

from cgrseg.predictor import Segmenter, load
from cgrseg.serving import ServeConfig
from cgrseg.serving.decoding import Decoders
from cgrseg.serving.fetch import Fetcher
from cgrseg.serving.http_errors import RequestError
from cgrseg.serving.metrics import Metrics
from cgrseg.serving.models import Model
from cgrseg.serving.queue import RequestQueue

MAX_FETCHES = 16
"""Images fetched at the same time; further requests wait while their deadlines run."""


class ServerState:
    """Everything behind the routes.

    Args:
        config: the settings.
        load_weights: replaces `cgrseg.load` with the engine of the settings.
        fetcher: replaces the one that fetches from public addresses only.
    """

    def __init__(
        self,
        config: ServeConfig,
        load_weights: Callable[[str], Segmenter] | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self.config, self.metrics = config, Metrics()
        self.should_exit: Callable[[], bool] = lambda: False  # set by `cgrseg.serving.server`
        self._load = load_weights or self._load_with_settings
        self.decoders = Decoders(config)
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="image")
        models = [Model(name, source) for name, source in config.sources().items()]
        self.queues = {model.name: RequestQueue(model, config.queue, self._pool, self.metrics) for model in models}
        self.fetcher, self.fetch_slots = fetcher or Fetcher(), asyncio.Semaphore(MAX_FETCHES)

    @property
    def default(self) -> str:
        """The name of the model for requests that name none."""
        return next(iter(self.queues))

    @property
    def is_ready(self) -> bool:
        """Whether every model serves and the server is not stopping."""
        return not self.should_exit() and all(queue.model.status.state == "ready" for queue in self.queues.values())

    @property
    def is_loading(self) -> bool:
        """Whether the weights of any model are being read, for the first time or again."""
        return any(queue.model.is_loading for queue in self.queues.values())

    def start(self) -> None:
        """Start to load all models, again if they are, and return at once."""
        self.decoders.start()
        for queue in self.queues.values():
            queue.model.start(self._load)

    def wait_loaded(self) -> None:
        """Wait until every model is ready or failed."""
        for queue in self.queues.values():
            queue.model.wait()

    def stop(self) -> None:
        """End the processes that decode, and shut the threads down without waiting for them."""
        self.decoders.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for queue in self.queues.values():
            queue.model.engine_thread.shutdown(wait=False, cancel_futures=True)

    def queue(self, name: str | None) -> RequestQueue:
        """The queue of a model; of the default model if `name` is None.

        Raises:
            RequestError: no model has that name.
        """
        queue = self.queues.get(self.default if name is None else name)
        if queue is None:
            raise RequestError(
                f"no model is called {str(name)[:100]!r}",
                advice=f"the models are {', '.join(self.queues)}",
                status=404,
                kind="unknown",
            )
        return queue

    def _load_with_settings(self, source: str) -> Segmenter:
        config = self.config
        return load(source, engine=config.engine, device=config.device, threads=config.threads)


def state_of(request: Request) -> ServerState:
    """The state of the server that received a request."""
    return request.app.state.server
