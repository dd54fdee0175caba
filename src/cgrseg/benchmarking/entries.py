"""What takes part in a benchmark, and one pass of it: its time in this process, its memory in a fresh one.

    Entry (plain values) -- open -- Contender:  file -- decode -- prepare -- network -- label map
         +-- as JSON to another process, which opens the same

Axes: k classes, h w logit rows and columns, _H _W prepared rows and columns.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol, get_args, runtime_checkable

import numpy as np
import torch
from torch import nn

from cgrseg.benchmarking.baselines import Logits, Prepared, open_peer, random_info, seeded
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
"""From the bytes of an image's file to the class of each of its pixels."""

UNTRAINED: dict[str, ModelSize] = {f"cgrseg-{size}": size for size in get_args(ModelSize)}
"""Names of networks without weights; the time of a network does not depend on them."""


@runtime_checkable
class Contender(Protocol):
    """The stages of one way from an image to its label map."""

    design: str
    engine: str
    precision: str
    info: WeightsInfo

    def build(self) -> nn.Module:
        """The network anew, for counting."""
        ...

    def prepare(self, image: Image) -> Prepared:
        """What the network takes."""
        ...

    def network(self, prepared: Prepared) -> Logits:
        """What the network gives."""
        ...

    def label(self, logits: Logits, size: Size) -> LabelMap:
        """The class of each pixel of an image of this size."""
        ...


class Own:
    """Weights on an engine, stage by stage as `Segmenter` takes an image."""

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
    """A contender in plain values, so that another process can make the same."""

    name: str
    """Weights, an untrained network or a peer."""
    engine: EngineName | None
    """None is a peer."""
    threads: int
    size: ModelSize = "t"
    """Of the peer `plain`."""
    classes: int = 150
    """Of what has no weights."""
    short_px: int = 512
    """Short side at which a peer sees the image."""
    long_px: int = 2048
    """Longest long side at which a peer sees the image."""

    @property
    def is_trained(self) -> bool:
        """Whether its weights are real."""
        return self.engine is not None and self.name not in UNTRAINED

    def open(self) -> Contender:
        """The contender itself.

        Raises:
            CGRSegError: no such peer, weights or engine, or its package is not installed.
        """
        torch.set_num_threads(self.threads)
        if self.engine is not None:
            return Own(open_segmenter(self.name, self.engine, self.threads, self.classes))
        model = ModelConfig(size=self.size, classes=self.classes)
        return open_peer(self.name, model, InferenceConfig(short_px=self.short_px, long_px=self.long_px))


def open_segmenter(name: str, engine: EngineName, threads: int, classes: int) -> Segmenter:
    """Weights, or a network of random ones, on an engine."""
    if name not in UNTRAINED:
        return load(name, engine=engine, threads=threads)
    config = ModelConfig(size=UNTRAINED[name], classes=classes)
    opened = open_engine(seeded(config), engine=engine, threads=threads)
    return Segmenter(opened, random_info(config, InferenceConfig()), name, threads)


def timed_pass(contender: Contender, photo: Path) -> tuple[LabelMap, list[float]]:
    """The label map of an image's file, and the milliseconds of each stage."""
    marks = [time.perf_counter()]
    image = read_image(photo)
    marks.append(time.perf_counter())
    prepared = contender.prepare(image)
    marks.append(time.perf_counter())
    logits = contender.network(prepared)
    marks.append(time.perf_counter())
    labels = contender.label(logits, (image.shape[0], image.shape[1]))
    marks.append(time.perf_counter())
    return labels, [1000 * (end - start) for start, end in pairwise(marks)]


@dataclass(frozen=True)
class Memory:
    """What a fresh process needs that makes one label map."""

    peak_bytes: int
    """The most it held, PyTorch and all."""
    above_model_bytes: int
    """What of it the image took: above the process with its weights loaded and its kernels compiled."""


def memory_of(entry: Entry, photo: Path) -> Memory:
    """What a fresh process needs for one pass.

    Raises:
        CGRSegError: that process failed.
    """
    request = json.dumps({"entry": asdict(entry), "photo": str(photo)})
    code = "import sys; from cgrseg.benchmarking.entries import tell_memory; tell_memory(sys.argv[1])"
    command = [sys.executable, "-c", code, request]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own code
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise CGRSegError(f"{entry.name}: the process that measures its memory failed: {last}")
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def tell_memory(request: str) -> None:
    """Make one pass of an entry and write the memory it took to stdout; run by `memory_of` in a process of its own."""
    told = json.loads(request)
    entry = Entry(**told["entry"])
    contender = entry.open()
    if entry.engine is not None:
        label_map(np.zeros((2, 4, 4), np.float32), (32, 32))  # compiles the kernels, or loads what was compiled
    loaded = forget_peak()
    timed_pass(contender, Path(told["photo"]))
    peak = peak_memory()
    sys.stdout.write(json.dumps({"peak_bytes": peak, "above_model_bytes": max(0, peak - loaded)}) + "\n")
