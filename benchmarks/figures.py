"""The figures that this project promises, in one interleaved run: every engine beside the plain pipeline of size T.

    OMP_NUM_THREADS=1 python benchmarks/figures.py [--sizes t lite] [--weights FILE] [--classes 150] [--repeats 15]
        [--large 8192] [--json FILE]

An image of 683 x 512, already decoded; one thread. T has the reference weights of the tests (those that the authors'
modules were run with), lite weights by the same rule; `--weights` puts trained ones in the place of those of its size.
All have the same number of classes: those of the weights, or 150. Each round runs every entry once:

    plain           benchmarks/plain.py with size T, whatever the others are
    torch           folded, attention (if any) by blocks; label map by the fused kernel
    onnx            the same network in ONNX Runtime
    openvino        in OpenVINO
    openvino int8   its convolutions in 8-bit integers, calibrated on parts of the photo; the rest in bf16 where it can

then OpenVINO alone, in floats and in INT8: 512 x 512 and 2048 x 1024 by turns, and memory, of the image above and of
one of 8192 x 8192 by windows, each in a process of its own (benchmarks/large.py; `--large 0` leaves that one out).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

import plain
from large import in_own_process
from support.reference import fill_lite, official_weights

from cgrseg.benchmarking.baselines import ALL_QUERIES
from cgrseg.benchmarking.entries import complexity
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, ModelConfig
from cgrseg.data.images import read_image, resize_image
from cgrseg.data.transforms import normalise
from cgrseg.exporting.quantization import quantize
from cgrseg.labelmap import label_map
from cgrseg.machine import machine, matrix_rate
from cgrseg.model import CGRSeg, build_model
from cgrseg.model.efficientformer import set_query_block
from cgrseg.runtime import Engine, graph_of, open_engine
from cgrseg.runtime.openvino import INT8, RT_INFO, OpenVINOEngine
from cgrseg.weights import open_weights
from cgrseg.weights.official import official_name

IMAGE = (512, 683)
SIZES = ("t", "lite")
CLASSES = 150
"""Of ADE20K, and of the reference weights."""
PLAIN = "plain t"
WARM_UP = 2
"""Rounds that are not counted."""
WINDOW = 1024
"""Side of what the network sees at a time of an image that is too large."""
CORES = len(os.sched_getaffinity(0))


@dataclass
class Times:
    """Milliseconds of one entry, pass by pass."""

    network: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Network:
    """One size with its weights, on every engine."""

    size: str
    weights: str
    """Where they are from, and their number of classes."""
    model: CGRSeg
    engines: dict[str, Engine]
    files: dict[str, Path]
    """Its graphs for OpenVINO, in floats and in INT8."""
    macs: int
    """Multiply-adds for the image."""


def reference_model(size: str, classes: int, position: str = "offsets") -> CGRSeg:
    """A network with weights by the rule of the reference values; those of T are the stored ones."""
    if size == "lite":
        return fill_lite(build_model(ModelConfig(size="lite", classes=classes)))
    model = build_model(ModelConfig(size="t", classes=classes, position=position))
    tensors, state = official_weights("t"), model.state_dict()
    for name, own in state.items():
        given = tensors[official_name(name)]
        state[name] = (given[:classes] if name.startswith("head.classifier.") else given).reshape(own.shape)
    model.load_state_dict(state)
    return model.eval()


def open_network(size: str, classes: int, trained: Path | None, image: np.ndarray, folder: Path) -> Network:
    """A size on every engine."""
    model = reference_model(size, classes) if trained is None else open_weights(trained)[0]
    engines = {name: open_engine(model, engine=name, threads=1) for name in ("torch", "onnx", "openvino")}
    files = {"openvino": graph_of(model), "openvino int8": quantized(model, image, folder / f"{size}-int8.xml")}
    engines["openvino int8"] = OpenVINOEngine(files["openvino int8"], threads=1)
    macs = macs_of(size, model.head.classifier.out_channels)
    weights = f"{'reference' if trained is None else trained.name}, {model.head.classifier.out_channels} classes"
    return Network(size, weights, model, engines, files, macs)


def macs_of(size: str, classes: int) -> int:
    """Multiply-adds for the image, padded as networks pad it."""
    padded = (IMAGE[0], -(-IMAGE[1] // 32) * 32)
    return complexity(lambda: build_model(ModelConfig(size=size, classes=classes)), padded).macs


def quantized(model: CGRSeg, image: np.ndarray, path: Path) -> Path:
    """The network with its convolutions in INT8, as a file."""
    import openvino

    sides = [(256, 320), (400, 512), (512, 683), (320, 448)]
    parts = [resize_image(np.ascontiguousarray(image[y:, x:]), side) for side in sides for y, x in ((0, 0), (90, 150))]
    graph = quantize(graph_of(model), [prepared(part) for part in parts])
    graph.set_rt_info("{}", [RT_INFO, INT8])
    graph.set_rt_info("cgrseg", [RT_INFO, "format"])
    openvino.save_model(graph, path, compress_to_fp16=False)
    return path


def prepared(image: np.ndarray) -> np.ndarray:
    """What the network takes."""
    return normalise(image, IMAGENET_MEAN, IMAGENET_STD)[None]


def one_pass(engine: Engine, image: np.ndarray, times: Times) -> np.ndarray:
    """The label map; its times are added to `times`."""
    marks = [time.perf_counter()]
    x = prepared(image)
    marks.append(time.perf_counter())
    logits = engine(x)[0]
    marks.append(time.perf_counter())
    labels = label_map(logits, IMAGE, IMAGE)
    marks.append(time.perf_counter())
    for spent, (start, end) in zip((times.network, times.after, times.total), ((1, 2), (2, 3), (0, 3)), strict=True):
        spent.append(1000 * (marks[end] - marks[start]))
    return labels


def plain_pass(model: CGRSeg, image: np.ndarray, times: Times) -> None:
    """Add the times of the plain pipeline to `times`."""
    with torch.inference_mode():
        _, stages = plain.stages(model, image)
    times.network.append(stages["network"])
    times.total.append(sum(stages.values()))
    times.after.append(times.total[-1] - stages["network"] - stages["prepare"])


def exact_labels(model: CGRSeg, image: np.ndarray) -> np.ndarray:
    """The argmax of the logits, upsampled once in 64-bit floats."""
    with torch.inference_mode():
        logits = model(torch.from_numpy(prepared(image))).double()
    span = (8 * logits.shape[2], 8 * logits.shape[3])
    full = F.interpolate(logits, size=span, mode="bilinear", align_corners=False)[0, :, : IMAGE[0], : IMAGE[1]]
    return full.argmax(0).numpy()


def take_rounds(official: CGRSeg, networks: list[Network], image: np.ndarray, repeats: int) -> dict:
    """Run all entries in turn, every second round in reverse order, with matrix products in between."""
    entries = {f"{own.size} {name}": (own, engine) for own in networks for name, engine in own.engines.items()}
    rates, labels = [], {}
    for number in range(WARM_UP + repeats):
        if number in (0, WARM_UP):
            times = {name: Times() for name in (PLAIN, *entries)}
        for name in times if number % 2 == 0 else reversed(times):
            if name == PLAIN:
                plain_pass(official, image, times[name])
            else:
                labels[name] = one_pass(entries[name][1], image, times[name])
        rates.append(matrix_rate(2))
    exact = {own.size: exact_labels(own.model, image) for own in networks}
    rows = {PLAIN: row(times[PLAIN], times[PLAIN], macs_of("t", official.head.classifier.out_channels) / max(rates))}
    for name, (own, _) in entries.items():
        equal = float((labels[name] == exact[own.size]).mean())
        rows[name] = row(times[name], times[PLAIN], own.macs / max(rates)) | {"equal labels": equal}
    return {"GFLOP/s": 2 * max(rates) / 1e9, "contenders": rows}


def row(spent: Times, by_plain: Times, floor: float) -> dict[str, float]:
    """Medians, and the ratio to plain within rounds; the floor is in seconds."""
    return {
        "network ms": statistics.median(spent.network),
        "floor ms": 1000 * floor,
        "after ms": statistics.median(spent.after),
        "total ms": statistics.median(spent.total),
        "plain / this": statistics.median(whole / own for whole, own in zip(by_plain.total, spent.total, strict=True)),
    }


def alone(network: Network, repeats: int, large: int) -> dict[str, dict[str, float]]:
    """OpenVINO's network at two sizes by turns, and what one image needs in a process of its own."""
    random = np.random.default_rng(0)
    small, wide = (random.standard_normal((1, 3, *side)).astype(np.float32) for side in ((512, 512), (1024, 2048)))
    results = {}
    for name, file in network.files.items():
        engine = network.engines[name]
        pairs = [(timed(engine, small), timed(engine, wide)) for _ in range(1 + repeats // 2)]
        results[f"{network.size} {name}"] = {
            "512 x 512, ms": statistics.median(one for one, _ in pairs),
            "2048 x 1024, ms": statistics.median(other for _, other in pairs),
            "2048 x 1024 in units of 8 x 512 x 512": statistics.median(other / 8 / one for one, other in pairs),
            **{f"683 x 512, {key}": value for key, value in in_own_process(file, IMAGE).items() if "MiB" in key},
        }
        if large:
            by_windows = in_own_process(file, (large, large), window=WINDOW)
            by_size = {f"{large} x {large}, {key}": value for key, value in by_windows.items()}
            results[f"{network.size} {name}"] |= by_size
    return results


def timed(engine: Engine, x: np.ndarray) -> float:
    """Milliseconds of one pass, the median of three after one that gets used to the size."""
    spent = []
    for _ in range(4):
        start = time.perf_counter()
        engine(x)
        spent.append(1000 * (time.perf_counter() - start))
    return statistics.median(spent[1:])


def two_threads(network: Network) -> dict[str, float]:
    """How much faster the network and a matrix product are on two threads, by turns."""
    x = np.random.default_rng(0).standard_normal((1, 3, 512, 512)).astype(np.float32)
    one, two = (open_engine(network.model, engine="openvino", threads=threads) for threads in (1, 2))
    gains, products = [], []
    for _ in range(5):
        gains.append(timed(one, x) / timed(two, x))
        rates = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            rates.append(matrix_rate(5))
        products.append(rates[1] / rates[0])
    torch.set_num_threads(1)
    return {"network": statistics.median(gains), "matrix product": statistics.median(products)}


def show(report: dict) -> None:
    """Print the report."""
    sources = "; ".join(f"{name}: {weights}" for name, weights in report["weights"].items())
    print(f"weights of {sources}; fp32 matrix product {report['GFLOP/s']:.0f} GFLOP/s")
    print(f"{'':20} {'network':>8} {'floor':>8} {'after':>8} {'total':>8} {'plain /':>8} {'equal labels':>13}")
    for name, values in report["contenders"].items():
        equal = f"{100 * values['equal labels']:.4f} %" if "equal labels" in values else ""
        times = " ".join(f"{values[key]:8.1f}" for key in ("network ms", "floor ms", "after ms", "total ms"))
        print(f"{name:20} {times} {values['plain / this']:8.2f} {equal:>13}")
    for name, values in report["alone"].items():
        print(f"{name}: " + "; ".join(f"{key} {value:.4g}" for key, value in values.items()))
    for size, values in report["two threads against one"].items():
        print(f"{size}, two threads against one: " + ", ".join(f"{key} {value:.2f} x" for key, value in values.items()))


def main() -> None:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["t"], choices=SIZES)
    parser.add_argument("--weights", type=Path, help="trained weights, in the place of those of their size")
    parser.add_argument("--classes", type=int, help="of all networks but trained ones (default: as they, or 150)")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--large", type=int, default=8192, help="side of the large image; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained = open_weights(options.weights)[1].model if options.weights else None
    if trained is not None and trained.size not in options.sizes:
        parser.error(f"{options.weights} has size {trained.size}; add it to --sizes")
    classes = options.classes or (trained.classes if trained else CLASSES)
    image = resize_image(read_image(Path(str(resources.files("cgrseg") / "assets/street.jpg"))), IMAGE)
    with tempfile.TemporaryDirectory() as folder:
        files = {trained.size: options.weights} if trained else {}
        networks = [open_network(size, classes, files.get(size), image, Path(folder)) for size in options.sizes]
        report = {"weights": {PLAIN: f"reference, {classes} classes", **{own.size: own.weights for own in networks}}}
        official = reference_model("t", classes, "official")
        set_query_block(official, ALL_QUERIES)
        report |= take_rounds(official, networks, image, options.repeats)
        report["alone"] = {}
        for network in networks:
            report["alone"] |= alone(network, options.repeats, options.large)
        report["two threads against one"] = {own.size: two_threads(own) for own in networks if CORES > 1}
    show(report)
    if options.json:
        options.json.write_text(json.dumps({"machine": vars(machine()), **report}, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
