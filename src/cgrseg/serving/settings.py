"""What a server is started with."""

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from cgrseg.errors import CGRSegError

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}")
"""What a model may be called: it becomes a part of addresses."""


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """The settings of a server."""

    weights: tuple[str, ...]
    """Each what `cgrseg.load` takes, or `NAME=` and that; the first is the default model."""
    engine: Literal["auto", "torch", "onnx", "openvino"] = "auto"
    device: str = "cpu"
    threads: int | None = None
    """Of the engine; as many as it likes unless given."""
    workers: int = 1
    """Processes, each with all models and a line of its own before each."""
    queue: int = 32
    """Images that a model has in hand at most; whoever brings one more is sent away at once."""
    deadline_s: float = 30.0
    """From a request's arrival; after that its work is dropped."""
    body_bytes: int = 32 << 20
    """Largest body of a request."""
    pixels: int = 50_000_000
    """Largest image that is decoded."""
    allow_url: bool = False
    """Whether requests may name images by URL, which the server then fetches."""
    token: str | None = field(default=None, repr=False)
    """What everyone but health checks must show."""

    def sources(self) -> dict[str, str]:
        """Where the weights of each model come from, by its name.

        Raises:
            CGRSegError: two models would have one name, or a name does not fit into an address.
        """
        found: dict[str, str] = {}
        for given in self.weights:
            name, source = _name(given)
            if not NAME.fullmatch(name):
                raise CGRSegError(
                    f"{name!r} cannot name a model",
                    advice=f"use letters, digits and . _ - as in street={source}",
                )
            if name in found:
                raise CGRSegError(
                    f"two models are called {name!r}",
                    advice=f"name one, as in {name}-2={source}",
                )
            found[name] = source
        return found


def _name(given: str) -> tuple[str, str]:
    """The name and the source in `NAME=SOURCE` or in `SOURCE`."""
    name, equals, source = given.partition("=")
    if equals and "/" not in name and source:
        return name, source
    path = PurePath(given)
    is_file = path.suffix in (".safetensors", ".pth", ".pt", ".onnx", ".xml")
    return (path.stem if is_file else path.name), given
