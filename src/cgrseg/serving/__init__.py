"""HTTP server: an API for programs and a web page for people.

    request -- middleware: id, token, log, metrics -- read the image, limited -- queue of its model -- response
                                                                                        |
                             decode, prepare (a few threads) -- engine (one thread) -- label, encode (a few threads)

Importing this package loads nothing heavy; `cgrseg.serving.app` does.
"""

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from cgrseg.errors import CGRSegError

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
