"""Everything that lives as long as the server: its settings, and its models with their queues, threads and metrics."""

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from fastapi import Request

from cgrseg.errors import CGRSegError
from cgrseg.predictor import Segmenter, load
from cgrseg.serving.fetch import Fetcher
from cgrseg.serving.http_errors import RequestError
from cgrseg.serving.metrics import Metrics
from cgrseg.serving.models import Model
from cgrseg.serving.queue import RequestQueue

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
"""Valid model names; they become part of URLs."""


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """The settings of a server."""

    weights: tuple[str, ...]
    """Sources that `cgrseg.load` accepts, each optionally as `NAME=SOURCE`; the first is the default model."""
    engine: Literal["auto", "torch", "onnx", "openvino"] = "auto"
    device: str = "cpu"
    threads: int | None = None
    """CPU threads of each engine; None lets the engine choose."""
    workers: int = 1
    """Processes, each with its own copy and queue of every model."""
    queue: int = 32
    """Images that a model has in hand at most; a request beyond that is rejected at once."""
    deadline_s: float = 30.0
    """Seconds from the arrival of a request until its work is dropped."""
    body_bytes: int = 32 << 20
    """Largest request body in bytes."""
    pixels: int = 50_000_000
    """Largest image that is decoded, in pixels."""
    allow_url: bool = False
    """Whether requests may give the URL of an image for the server to fetch."""
    token: str | None = field(default=None, repr=False)
    """The token required of every request except health checks; None requires nothing."""

    def sources(self) -> dict[str, str]:
        """The source of the weights of each model, by model name.

        Raises:
            CGRSegError: two models have the same name, or a name does not fit into a URL.
        """
        sources: dict[str, str] = {}
        for weights in self.weights:
            name, source = _split_name(weights)
            if not NAME.fullmatch(name):
                raise CGRSegError(
                    f"{name!r} cannot name a model",
                    advice=f"use letters, digits and . _ - as in street={source}",
                )
            if name in sources:
                raise CGRSegError(
                    f"two models are called {name!r}",
                    advice=f"name one, as in {name}-2={source}",
                )
            sources[name] = source
        return sources


def _split_name(weights: str) -> tuple[str, str]:
    """Split `NAME=SOURCE`; the name of a bare source is its file stem or last path component."""
    name, equals, source = weights.partition("=")
    if equals and "/" not in name and source:
        return name, source
    path = PurePath(weights)
    is_file = path.suffix in (".safetensors", ".pth", ".pt", ".onnx", ".xml")
    return (path.stem if is_file else path.name), weights


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
        """Start to load all models, and return at once."""
        for queue in self.queues.values():
            queue.model.start(self._load)

    def stop(self) -> None:
        """Shut the threads down without waiting for them."""
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
