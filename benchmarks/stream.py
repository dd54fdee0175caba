"""How much of the network's own rate a folder of images gets: one after another, streamed, and streamed to files.

    OMP_NUM_THREADS=1 python benchmarks/stream.py FOLDER [--images 16] [--repeats 5] [--weights W] [--engine auto]

    network     calls of the network alone, on inputs prepared before
    one by one  segmenter(path) for each image: read, prepare, network, label map
    stream      segmenter.stream(paths): the same, overlapped
    saved       segmenter.stream(paths), each result saved as `cgrseg predict` does: label map, overlay and summary

The four take turns, and each share is that of a round. The overlap needs a core besides those of the network.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import cgrseg
from cgrseg.cli.predict import save_all
from cgrseg.data.images import find_images, read_image
from cgrseg.predictor.views import prepare


def ways(segmenter: cgrseg.Segmenter, paths: list[Path], output: Path) -> dict[str, Callable[[], object]]:
    """What is timed."""
    inputs: list[np.ndarray] = [prepare(read_image(path), segmenter.info)[None] for path in paths]
    return {
        "network": lambda: [segmenter.engine(prepared) for prepared in inputs],
        "one by one": lambda: [segmenter(path).labels.shape for path in paths],
        "stream": lambda: [
            result.labels.shape for result in segmenter.stream(paths) if isinstance(result, cgrseg.Segmentation)
        ],
        "saved": lambda: list(save_all(segmenter.stream(paths), output)),
    }


def main() -> None:
    """Time the four in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="cgrseg-t-camvid")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    segmenter = cgrseg.load(options.weights, engine=options.engine, threads=options.threads)
    paths = find_images(options.folder)[: options.images]
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as output:
        timed = ways(segmenter, paths, Path(output))
        timed["saved"]()  # compiles, and warms up
        for _ in range(options.repeats):
            for name, run in timed.items():
                start = time.perf_counter()
                run()
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    print(f"{options.weights}, engine {segmenter.engine.name}, {options.threads} thread(s) of {os.cpu_count()} cores")
    print(f"{len(paths)} images of {options.folder}, {options.repeats} rounds, PyTorch {torch.__version__}, medians")
    for name, spent in seconds.items():
        shares = [alone / each for alone, each in zip(seconds["network"], spent, strict=True)]
        rate = len(paths) / statistics.median(spent)
        print(f"{name:12} {rate:7.2f} images/s  {statistics.median(shares):6.1%} of the network's own rate")


if __name__ == "__main__":
    main()
