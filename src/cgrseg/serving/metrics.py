"""Prometheus metrics: requests, errors by kind, queue depth of each model, seconds of each stage."""

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
"""The environment variable that makes prometheus_client add up the processes of one server in a shared folder."""


class Metrics:
    """The metrics of one server."""

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
        """Count a finished request; `kind` is the kind of its error, None without one."""
        self._requests.labels(route, str(status)).inc()
        if kind is not None:
            self._errors.labels(kind).inc()

    def depth(self, model: str) -> Gauge:
        """The gauge of the images that a model has in hand."""
        return self._depth.labels(model)

    def stage_timer(self, model: str, engine: str) -> "StageTimer":
        """A timer for the stages of images of one model on one engine."""
        return StageTimer(self._seconds, model, engine)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format, added up over the processes of the server."""
        registry = self._registry
        if SHARED_FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)


@dataclass(frozen=True)
class StageTimer:
    """Observes the seconds of each stage of images of one model on one engine."""

    seconds: Histogram
    model: str
    engine: str

    def add(self, stage: Stage, seconds: float) -> None:
        """Record the duration of a stage."""
        self.seconds.labels(stage, self.model, self.engine).observe(seconds)

    @contextmanager
    def time(self, stage: Stage) -> Iterator[None]:
        """Time the block as a stage."""
        started = perf_counter()
        yield
        self.add(stage, perf_counter() - started)
