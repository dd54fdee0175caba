"""Engines: what turns prepared pictures into logits, behind one small protocol."""

from typing import Literal

from torch import nn

from cgrseg.errors import CGRSegError
from cgrseg.runtime.protocol import Engine
from cgrseg.runtime.torch import TorchEngine, require_device

__all__ = ["Engine", "EngineName", "TorchEngine", "open_engine", "require_device"]

EngineName = Literal["auto", "torch"]

ENGINES = {"auto": TorchEngine, "torch": TorchEngine}


def open_engine(
    model: nn.Module, *, engine: EngineName = "auto", device: str = "cpu", threads: int | None = None
) -> Engine:
    """The network on an engine; `auto` takes the fastest one that is installed and gives the same labels."""
    if engine not in ENGINES:
        raise CGRSegError(f"no engine {engine!r}; the engines are {', '.join(ENGINES)}")
    return ENGINES[engine](model, device=device, threads=threads)
