"""Servers for tests: the application in this process, with an engine that waits, or a process of its own."""

import http.client
import io
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from starlette.testclient import TestClient
from support.colour_engine import ColourEngine, colour_info
from support.reference import fill_lite
from torch import nn

from cgrseg.classes import named
from cgrseg.config import InferenceConfig, Levels, ModelConfig
from cgrseg.model import build_model
from cgrseg.predictor import Segmenter
from cgrseg.serving import ServeConfig
from cgrseg.serving.app import build_app
from cgrseg.serving.fetch import Fetcher
from cgrseg.weights import WeightsInfo, save_weights

TIMEOUT_S = 40


class GatedEngine(ColourEngine):
    """Records each call, and answers only while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.asked = threading.Event(), queue.Queue()
        self.open.set()

    def __call__(self, images):
        self.asked.put(images.shape)
        assert self.open.wait(TIMEOUT_S)
        return super().__call__(images)

    def forget(self) -> None:
        """Clear the record of calls."""
        while not self.asked.empty():
            self.asked.get()


@contextmanager
def gated(
    *, fetcher: Fetcher | None = None, levels: Levels | None = None, **settings
) -> Iterator[tuple[TestClient, GatedEngine]]:
    """The application in this process, ready, on an engine that waits while it is closed."""
    engine = GatedEngine()
    config = ServeConfig(weights=("colours",), **settings)
    app = build_app(config, lambda source: Segmenter(engine, colour_info()).with_levels(levels), fetcher)
    with TestClient(app) as client:
        wait_until(lambda: app.state.server.is_ready)
        engine.forget()
        yield client, engine
        engine.open.set()


def wait_until(holds) -> None:
    """Poll a condition that threads bring about."""
    end = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def png(image: np.ndarray) -> bytes:
    """The bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def save_tiny(path: Path) -> Path:
    """A weights file of the smallest network, random, for three classes."""
    torch.manual_seed(0)
    config = ModelConfig(size="s0", classes=3, layer_scale=0.1, rcm_scale=0.1)
    return save_for_three_classes(path, build_model(config), config)


def save_lite(path: Path) -> Path:
    """The same of size lite."""
    config = ModelConfig(size="lite", classes=3)
    return save_for_three_classes(path, fill_lite(build_model(config)), config)


def save_for_three_classes(path: Path, model: nn.Module, config: ModelConfig) -> Path:
    inference = InferenceConfig(short_px=64, long_px=128)
    info = WeightsInfo(model=config, classes=named(("sky", "road", "car")), inference=inference)
    save_weights(path, model.eval(), info)
    return path


class Served:
    """A server process, as its clients and its operator see it."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command], stderr=subprocess.PIPE, text=True, env=os.environ.copy()
        )
        self.lines: list[str] = []
        threading.Thread(target=self._collect, daemon=True).start()
        wait_until(lambda: any("serving on" in line for line in self.lines) or self.process.poll() is not None)
        address = re.search(r"serving on http://([\d.]+):(\d+)", "".join(self.lines))
        assert address, "".join(self.lines)
        self.host, self.port = address[1], int(address[2])

    def _collect(self) -> None:
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is the caller's to use and to close."""
        return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)

    def ask(self, method: str, path: str, body=None, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        """One request on a connection of its own: status, headers, body."""
        connection = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def answers(self, path: str, status: int) -> bool:
        """Whether the path responds with that status now."""
        try:
            return self.ask("GET", path)[0] == status
        except OSError:
            return False

    def wait_ready(self) -> "Served":
        """Wait until every model serves."""
        wait_until(lambda: self.answers("/v2/health/ready", 200))
        return self

    def log(self) -> list[dict]:
        """The access log so far."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()


@contextmanager
def serving(*arguments: object) -> Iterator[Served]:
    """`cgrseg serve` with these arguments, on a free port."""
    with _running(["-m", "cgrseg", "serve", "--port", "0", *map(str, arguments)]) as served:
        yield served


@contextmanager
def serving_gated(folder: Path, **settings: float) -> Iterator[tuple[Served, Path]]:
    """A server whose engine waits while the file that comes with it is there, and notes in `asked` when it is asked."""
    given = [f"{name}={value}" for name, value in settings.items()]
    with _running([str(Path(__file__).with_name("gated_server.py")), str(folder), *given]) as served:
        yield served.wait_ready(), folder / "closed"


@contextmanager
def _running(command: list[str]) -> Iterator[Served]:
    served = Served(command)
    try:
        yield served
    finally:
        served.stop()
        served.process.stderr.close()
