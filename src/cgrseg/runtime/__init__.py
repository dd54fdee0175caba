"""Engines: PyTorch, ONNX Runtime and OpenVINO behind one small protocol; prepared images in, logits out.

network (weights file) --+-- torch      itself, folded
                         +-- onnx       as a graph, kept in the cache, in ONNX Runtime
                         +-- openvino   the same graph, compiled for this machine, in OpenVINO
graph (.onnx, .xml) -------- onnx or openvino

Axes: b batch, k classes, h w logit rows and columns, H W image rows and columns.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from torch import nn

from cgrseg.config import EngineName, EnginePrecision
from cgrseg.errors import CGRSegError, CheckpointError
from cgrseg.runtime.cache import digest_of, kept
from cgrseg.runtime.graph import require, write_onnx
from cgrseg.runtime.onnx import OnnxEngine
from cgrseg.runtime.openvino import OpenVINOEngine
from cgrseg.runtime.torch import TorchEngine, require_device
from cgrseg.weights.format import WeightsInfo, from_metadata

__all__ = ["Engine", "EngineName", "TorchEngine", "graph_of", "is_graph", "open_engine", "open_graph", "require_device"]

GRAPH_ENGINES = {"onnx": OnnxEngine, "openvino": OpenVINOEngine}
SUFFIXES = (".onnx", ".xml")
AUTO = "CGRSEG_AUTO"
"""The environment variable that keeps `auto` from other engines if it says `torch`."""


@runtime_checkable
class Engine(Protocol):
    """A network, ready to run: normalised images in, logits at an eighth of their size out.

    `cgrseg.load(weights, engine=...)` takes any object with these attributes.
    """

    @property
    def name(self) -> str:
        """Name of the engine, such as `openvino`."""
        ...

    @property
    def precision(self) -> EnginePrecision:
        """The type that the network computes in."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the file that the network was read from; empty for a network built in this process."""
        ...

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        """Logits of ceil(H/8) x ceil(W/8); the grid spans 8*ceil(H/8) x 8*ceil(W/8) pixels. A new array each time."""
        ...


def open_engine(
    model: nn.Module, *, engine: EngineName | Engine = "auto", device: str = "cpu", threads: int | None = None
) -> Engine:
    """The network on an engine; `auto` takes the fastest that is installed: OpenVINO on a CPU, else PyTorch.

    An engine object is returned as it is.

    Raises:
        CGRSegError: the engine does not exist, or does not run on that device.
        MissingExtra: its packages are not installed.
    """
    if not isinstance(engine, str):
        return engine
    name = _chosen(engine, device, ("openvino", "onnx", "onnxscript"))
    if name == "torch":
        return TorchEngine(model, device=device, threads=threads)
    require("onnxruntime" if name == "onnx" else "openvino", "onnx", "onnxscript", extra=name)
    return GRAPH_ENGINES[name](graph_of(model), threads=threads)


def graph_of(model: nn.Module) -> Path:
    """The network as an ONNX file without metadata, in the cache."""
    notice = "preparing the network for engines other than PyTorch; it takes about a minute, once on this machine"
    return kept(f"{digest_of(model)}.onnx", lambda path: write_onnx(model, path), notice)


def is_graph(source: str | Path) -> bool:
    """Whether a source is a file for `open_graph`."""
    return Path(source).suffix in SUFFIXES


def open_graph(
    path: Path, *, engine: EngineName | Engine = "auto", device: str = "cpu", threads: int | None = None
) -> tuple[Engine, WeightsInfo]:
    """An exported file on an engine, and its metadata.

    Raises:
        CGRSegError: the engine does not run such files.
        CheckpointError: the file is missing, broken or not ours.
        MissingExtra: the engine's packages are not installed.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    if not isinstance(engine, str):
        return engine, from_metadata(dict(engine.metadata), path.name)
    name = _chosen(engine, device, ("openvino",))
    if engine == "auto" and name == "torch":
        name = "onnx" if path.suffix == ".onnx" else "openvino"
    if name == "torch":
        raise CGRSegError(
            f"engine 'torch' runs weights, not the graph {path.name}",
            advice="load the .safetensors it was made of",
        )
    if name == "onnx" and path.suffix == ".xml":
        raise CGRSegError(
            f"engine 'onnx' runs .onnx files, not {path.name}",
            advice="use engine 'openvino'",
        )
    opened = GRAPH_ENGINES[name](path, threads=threads)
    return opened, from_metadata(opened.metadata, path.name)


def _chosen(engine: EngineName, device: str, needed: tuple[str, ...]) -> Literal["torch", "onnx", "openvino"]:
    """The named engine, or the one that `auto` stands for here; OpenVINO only where `needed` packages are installed."""
    if engine not in ("auto", "torch", *GRAPH_ENGINES):
        raise CGRSegError(
            f"no engine {engine!r}",
            advice=f"the engines are auto, torch, {', '.join(GRAPH_ENGINES)}",
        )
    if engine == "auto":
        on_cpu = require_device(device).type == "cpu"
        is_there = all(map(importlib.util.find_spec, needed)) and os.environ.get(AUTO) != "torch"
        return "openvino" if on_cpu and is_there else "torch"
    if engine != "torch" and require_device(device).type != "cpu":
        raise CGRSegError(
            f"engine {engine!r} runs on the device 'cpu', not {device!r}",
            advice="use engine 'torch'",
        )
    return engine
