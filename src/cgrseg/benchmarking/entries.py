"""Entries of a benchmark: each is timed stage by stage in this process, and its memory measured in a fresh one.

    Entry (plain values) -- open --> Runner:  file -- decode -- prepare -- network -- label map
         +-- as JSON --> another process, which opens the same entry and reports its peak memory

The complexity of a network comes from shapes alone: one forward pass on the meta device, which has no memory.

Axes: k classes, h w logit rows and columns, _H _W prepared rows and columns.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, get_args, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cgrseg.benchmarking.baselines import Logits, Prepared, open_baseline, random_info, seeded
from cgrseg.config import InferenceConfig, ModelConfig, ModelSize
from cgrseg.data.images import read_image
from cgrseg.data.transforms import fit_size
from cgrseg.errors import CGRSegError
from cgrseg.labelmap import label_map
from cgrseg.machine import forget_peak, peak_memory
from cgrseg.model import build_model
from cgrseg.predictor import Segmenter, load
from cgrseg.predictor.views import prepare
from cgrseg.runtime import EngineName, open_engine
from cgrseg.runtime.openvino import INT8
from cgrseg.types import Image, LabelMap, Size
from cgrseg.weights import WeightsInfo

STAGES = ("decode", "prepare", "network", "label map")
"""From an image file to its label map."""

UNTRAINED: dict[str, ModelSize] = {f"cgrseg-{size}": size for size in get_args(ModelSize)}
"""Networks with random weights, by name; the time of a network does not depend on its weights."""


@runtime_checkable
class Runner(Protocol):
    """Runs one entry stage by stage."""

    design: str
    engine: str
    precision: str
    info: WeightsInfo

    def build(self) -> nn.Module:
        """Build the network again, to count its parameters and multiply-adds."""
        ...

    def prepare(self, image: Image) -> Prepared:
        """Resize and normalise an image for the network."""
        ...

    def network(self, prepared: Prepared) -> Logits:
        """Run the network on a prepared image."""
        ...

    def label(self, logits: Logits, size: Size) -> LabelMap:
        """Compute the label map of an image of this size."""
        ...


class SegmenterRunner:
    """Runs the stages of a `Segmenter` one at a time."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter, self.info, self.engine = segmenter, segmenter.info, segmenter.engine.name
        self.design = f"CGRSeg-{self.info.model.size.capitalize()}"
        self.precision = "int8" if INT8 in getattr(segmenter.engine, "metadata", {}) else "fp32"

    def build(self) -> nn.Module:
        return build_model(self.info.model)

    def prepare(self, image: Image) -> Prepared:
        return prepare(image, self.info)

    def network(self, prepared: Prepared) -> Logits:
        return self.segmenter.engine(prepared[None])[0]

    def label(self, logits: Logits, size: Size) -> LabelMap:
        extent = fit_size(size, (self.info.inference.short_px, self.info.inference.long_px))
        return label_map(logits, size, extent, threads=self.segmenter.threads)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a benchmark, in plain values that can be sent to another process."""

    name: str
    """Weights, a network with random weights (`UNTRAINED`), or a baseline."""
    engine: EngineName | None
    """None for a baseline."""
    threads: int
    size: ModelSize = "t"
    """Size of the network of the baseline `plain`."""
    classes: int = 150
    """Number of classes, where no weights define it."""
    short_px: int = 512
    """Short side of the image in a baseline."""
    long_px: int = 2048
    """Longest long side of the image in a baseline."""

    @property
    def is_trained(self) -> bool:
        """Whether its weights are trained."""
        return self.engine is not None and self.name not in UNTRAINED

    def open(self) -> Runner:
        """Load the weights or build the baseline.

        Raises:
            CGRSegError: the baseline, weights or engine is unknown, or its package is not installed.
        """
        torch.set_num_threads(self.threads)
        if self.engine is not None:
            return SegmenterRunner(open_segmenter(self.name, self.engine, self.threads, self.classes))
        model = ModelConfig(size=self.size, classes=self.classes)
        return open_baseline(self.name, model, InferenceConfig(short_px=self.short_px, long_px=self.long_px))


def open_segmenter(name: str, engine: EngineName, threads: int, classes: int) -> Segmenter:
    """Open weights, or a network with random weights, on an engine."""
    if name not in UNTRAINED:
        return load(name, engine=engine, threads=threads)
    config = ModelConfig(size=UNTRAINED[name], classes=classes)
    opened = open_engine(seeded(config), engine=engine, threads=threads)
    return Segmenter(opened, random_info(config, InferenceConfig()), name, threads)


def timed_pass(runner: Runner, photo: Path) -> tuple[LabelMap, list[float]]:
    """Label map of an image file, and the milliseconds of each of `STAGES`."""
    marks = [time.perf_counter()]
    image = read_image(photo)
    marks.append(time.perf_counter())
    prepared = runner.prepare(image)
    marks.append(time.perf_counter())
    logits = runner.network(prepared)
    marks.append(time.perf_counter())
    labels = runner.label(logits, (image.shape[0], image.shape[1]))
    marks.append(time.perf_counter())
    return labels, [1000 * (end - start) for start, end in pairwise(marks)]


@dataclass(frozen=True)
class Memory:
    """Memory of a fresh process that computes one label map."""

    peak_bytes: int
    """Peak of the whole process, PyTorch included."""
    above_model_bytes: int
    """The part of the peak that came after the weights were loaded and the kernels compiled."""


def memory_of(entry: Entry, photo: Path) -> Memory:
    """Measure the memory of one pass in a fresh process.

    Raises:
        CGRSegError: the process failed.
    """
    request = json.dumps({"entry": asdict(entry), "photo": str(photo)})
    code = "import sys; from cgrseg.benchmarking.entries import print_memory; print_memory(sys.argv[1])"
    command = [sys.executable, "-c", code, request]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own code
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise CGRSegError(f"{entry.name}: the process that measures its memory failed: {last}")
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def print_memory(request: str) -> None:
    """Run one pass of an entry and write its memory to stdout as JSON; `memory_of` calls this in a fresh process."""
    values = json.loads(request)
    entry = Entry(**values["entry"])
    runner = entry.open()
    if entry.engine is not None:
        label_map(np.zeros((2, 4, 4), np.float32), (32, 32))  # compiles the kernels or loads them from the cache
    loaded = forget_peak()
    timed_pass(runner, Path(values["photo"]))
    peak = peak_memory()
    sys.stdout.write(json.dumps({"peak_bytes": peak, "above_model_bytes": max(0, peak - loaded)}) + "\n")


@dataclass(frozen=True)
class Complexity:
    """Cost of a network, whatever machine it runs on."""

    parameters: int
    macs: int
    """Multiply-adds of all convolutions and matrix products, including those inside attention."""
    layer_macs: int
    """Multiply-adds of convolutions and linear layers only, biases included: the paper's way of counting."""


def complexity(build: Callable[[], nn.Module], size: Size) -> Complexity:
    """Count the parameters of a network, and its multiply-adds for one image; only shapes are computed.

    The paper's numbers come from a counter that hooks into layers, so they leave out the products between layers that
    attention computes. `layer_macs` counts the same way: for 150 classes and 512 x 512 it gives T, B and L 4.0, 7.6
    and 14.8 G; the paper says 4.0, 7.6 and 14.9. Other papers, such as SegFormer's, count everything.

    Args:
        build: makes the network; called with `meta` as the default device, so its weights take no memory.
        size: height and width of the image in pixels.
    """
    with torch.device("meta"):
        network = build().eval().requires_grad_(False)
        image = torch.zeros(1, 3, *size)
    layer_macs = []

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kernel = layer.get_parameter("weight")
        layer_macs.append(output.numel() * (kernel[0].numel() + (layer.bias is not None)))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    counter = FlopCounterMode(display=False)
    with counter:
        network(image)
    return Complexity(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=counter.get_total_flops() // 2,
        layer_macs=sum(layer_macs),
    )
