"""What `/metrics` tells: requests, errors by kind, depth of each line, seconds of each stage."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

Stage = Literal["decode", "queue", "compute", "encode"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable by which the processes of one server count together."""


class Counters:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "cgrseg_requests_total", "Requests answered", ["route", "status"], registry=self._registry
        )
        self._errors = Counter("cgrseg_errors_total", "Requests not served, by kind", ["kind"], registry=self._registry)
        self._depth = Gauge(
            "cgrseg_queue_depth",
            "Images that a model has in hand",
            ["model"],
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._seconds = Histogram(
            "cgrseg_stage_seconds",
            "Seconds that an image spent in a stage: decode, queue, compute, encode",
            ["stage", "model", "engine"],
            registry=self._registry,
            buckets=SECONDS,
        )

    def count(self, route: str, status: int, kind: str | None) -> None:
        """One request is over; `kind` says what went wrong, if anything did."""
        self._requests.labels(route, str(status)).inc()
        if kind is not None:
            self._errors.labels(kind).inc()

    def depth(self, model: str) -> Gauge:
        """How many images a model has in hand."""
        return self._depth.labels(model)

    def clock(self, model: str, engine: str) -> "Clock":
        """What takes the time of each stage of an image."""
        return Clock(self._seconds, model, engine)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format, of all processes of the server."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)


@dataclass(frozen=True)
class Clock:
    """Takes the time of the stages of images of one model on one engine."""

    seconds: Histogram
    model: str
    engine: str

    def add(self, stage: Stage, seconds: float) -> None:
        """A stage took so long."""
        self.seconds.labels(stage, self.model, self.engine).observe(seconds)

    @contextmanager
    def time(self, stage: Stage) -> Iterator[None]:
        """The block is a stage."""
        started = perf_counter()
        yield
        self.add(stage, perf_counter() - started)
