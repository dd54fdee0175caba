"""What lives as long as a server: its settings, its models and the lines before them, its threads and counters."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fastapi import Request

from cgrseg.predictor import Segmenter, load
from cgrseg.serving.fetch import Fetcher
from cgrseg.serving.http_errors import Refusal
from cgrseg.serving.metrics import Counters
from cgrseg.serving.models import Model
from cgrseg.serving.queue import Line
from cgrseg.serving.settings import ServeConfig

MOST_FETCHES = 16
"""Images that are fetched at a time; more wait, and their deadlines run."""


class House:
    """Everything behind the routes."""

    def __init__(
        self,
        config: ServeConfig,
        load_weights: Callable[[str], Segmenter] | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        """`load_weights` takes the place of `cgrseg.load` with the settings' engine, `fetcher` of the strict one."""
        self.config, self.counters = config, Counters()
        self._load = load_weights or self._load_as_set
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="picture")
        models = [Model(name, source) for name, source in config.sources().items()]
        self.lines = {model.name: Line(model, config.queue, self._pool, self.counters) for model in models}
        self.fetcher, self.fetches = fetcher or Fetcher(), asyncio.Semaphore(MOST_FETCHES)
        self.is_stopping = False

    @property
    def default(self) -> str:
        """The name of the model that serves who names none."""
        return next(iter(self.lines))

    @property
    def is_ready(self) -> bool:
        """Whether every model serves, and will."""
        return not self.is_stopping and all(line.model.status.state == "ready" for line in self.lines.values())

    @property
    def is_loading(self) -> bool:
        """Whether the weights of a model are still being read, for the first time or again."""
        return any(line.model.is_loading for line in self.lines.values())

    def start(self) -> None:
        """Begin to load the models; returns at once."""
        for line in self.lines.values():
            line.model.start(self._load)

    def stop(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for line in self.lines.values():
            line.model.engine_thread.shutdown(wait=False, cancel_futures=True)

    def line(self, name: str | None) -> Line:
        """The line of a model; of the default one for none.

        Raises:
            Refusal: there is no such model.
        """
        line = self.lines.get(self.default if name is None else name)
        if line is None:
            known = ", ".join(self.lines)
            raise Refusal(404, "unknown", f"no model is called {str(name)[:100]!r}; the models are {known}")
        return line

    def _load_as_set(self, source: str) -> Segmenter:
        config = self.config
        return load(source, engine=config.engine, device=config.device, threads=config.threads)


def house_of(request: Request) -> House:
    """The house that a request came to."""
    return request.app.state.house
