"""Peak memory and time of one image in a process of its own, also of one too large to be shown at once.

    OMP_NUM_THREADS=1 python benchmarks/large.py FILE.onnx|FILE.xml [--size 8192x8192] [--window 1024]

A graph in OpenVINO, one thread, an image of noise at its own size. The network sees windows of `--window` pixels side
by side (0 shows it the whole image at once), so what is held is the image, the same normalised, the logits of all
windows, and the network's own memory for one.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from cgrseg.classes import named
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.machine import forget_peak, peak_memory
from cgrseg.predictor import Segmenter
from cgrseg.predictor.protocols import Protocol
from cgrseg.runtime.openvino import OpenVINOEngine
from cgrseg.types import Size
from cgrseg.weights import WeightsInfo

SMALL = 96
"""Side of what is shown first, so that everything is loaded and compiled."""


def one_image(graph: Path, size: Size, window: int) -> dict[str, float]:
    """Seconds and memory of one label map, in this process."""
    engine = OpenVINOEngine(graph, threads=1)
    classes = len(engine(np.zeros((1, 3, SMALL, SMALL), np.float32))[0])
    protocol = Protocol(window_px=(window, window), stride_px=(window, window)) if window else Protocol()
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    segmenter_for((SMALL, SMALL), engine, classes, protocol)(np.ascontiguousarray(image[:SMALL, :SMALL]))
    segmenter = segmenter_for(size, engine, classes, protocol)
    before, start = forget_peak(), time.perf_counter()
    segmenter(image)
    seconds, peak = time.perf_counter() - start, peak_memory()
    return {"seconds": seconds, "peak MiB": peak / 2**20, "of it for the image, MiB": (peak - before) / 2**20}


def segmenter_for(size: Size, engine: OpenVINOEngine, classes: int, protocol: Protocol) -> Segmenter:
    """One that shows the network an image of this size as large as it is."""
    info = WeightsInfo(
        model=ModelConfig(classes=classes),
        classes=named(tuple(f"class {label}" for label in range(classes))),
        inference=InferenceConfig(short_px=min(size), long_px=max(size)),
    )
    return Segmenter(engine, info, protocol=protocol)


def in_own_process(graph: Path, size: Size, window: int = 0) -> dict[str, float]:
    """The same in a fresh process."""
    given = [str(graph), "--size", f"{size[0]}x{size[1]}", "--window", str(window)]
    done = subprocess.run([sys.executable, __file__, *given], capture_output=True, text=True, check=True)  # noqa: S603  this very file
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure one image and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", default="8192x8192", help="height x width")
    parser.add_argument("--window", type=int, default=1024)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    print(json.dumps(one_image(options.file, (height, width), options.window)))


if __name__ == "__main__":
    main()
