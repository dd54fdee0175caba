"""The figures that this project promises, in one interleaved run: every engine beside the plain pipeline.

    OMP_NUM_THREADS=1 python benchmarks/figures.py [--repeats 15] [--json FILE]

A picture of 683 x 512, already decoded; CGRSeg-T for 150 classes with the reference weights of the tests (those that
the authors' modules were run with); one thread. Each round gives each contender one pass:

    plain           benchmarks/plain.py
    torch           folded, attention by blocks; label map by the fused kernel
    onnx            the same network in ONNX Runtime
    openvino        in OpenVINO
    openvino int8   its convolutions in 8-bit integers, calibrated on parts of the photo; the rest in bf16 where it can

then OpenVINO alone at 512 x 512 and 2048 x 1024, and with two threads where there are two cores.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]

import plain
from reference import official_weights

from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, ModelConfig
from cgrseg.data.images import read_image, resize_image
from cgrseg.data.transforms import normalise
from cgrseg.inspecting import machine, matrix_rate
from cgrseg.labeling import label_map
from cgrseg.model import CGRSeg, attention, build_model
from cgrseg.quantization import quantize
from cgrseg.runtime import Engine, graph_of, open_engine
from cgrseg.runtime.openvino import INT8, PLACE, OpenVINOEngine
from cgrseg.weights.official import official_name

PICTURE = (512, 683)


@dataclass
class Times:
    """Milliseconds of one contender, pass by pass."""

    network: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)


def reference_model(position: str) -> CGRSeg:
    """CGRSeg-T with the reference weights."""
    model = build_model(ModelConfig(size="t", classes=150, position=position))
    tensors = official_weights("t")
    state = model.state_dict()
    model.load_state_dict({name: tensors[official_name(name)].reshape(state[name].shape) for name in state})
    return model.eval()


def quantized(model: CGRSeg, image: np.ndarray, folder: Path) -> Engine:
    """The network with its convolutions in INT8."""
    import openvino

    sides = [(256, 320), (400, 512), (512, 683), (320, 448)]
    parts = [resize_image(np.ascontiguousarray(image[y:, x:]), side) for side in sides for y, x in ((0, 0), (90, 150))]
    graph = quantize(graph_of(model), [prepared(part) for part in parts])
    graph.set_rt_info("{}", [PLACE, INT8])
    graph.set_rt_info("cgrseg", [PLACE, "format"])
    openvino.save_model(graph, folder / "int8.xml", compress_to_fp16=False)
    return OpenVINOEngine(folder / "int8.xml", threads=1)


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
    labels = label_map(logits, PICTURE, PICTURE)
    marks.append(time.perf_counter())
    for spent, (start, end) in zip((times.network, times.after, times.total), ((1, 2), (2, 3), (0, 3)), strict=True):
        spent.append(1000 * (marks[end] - marks[start]))
    return labels


def plain_pass(model: CGRSeg, image: np.ndarray, times: Times) -> None:
    """The same by the plain pipeline, with attention of all queries at once."""
    block, attention.BLOCK = attention.BLOCK, 1 << 31
    with torch.inference_mode():
        _, stages = plain.stages(model, image)
    attention.BLOCK = block
    times.network.append(stages["network"])
    times.total.append(sum(stages.values()))
    times.after.append(times.total[-1] - stages["network"] - stages["prepare"])


def exact_labels(model: CGRSeg, image: np.ndarray) -> np.ndarray:
    """The argmax of the logits, upsampled once in 64-bit floats."""
    with torch.inference_mode():
        logits = model(torch.from_numpy(prepared(image))).double()
    span = (8 * logits.shape[2], 8 * logits.shape[3])
    full = F.interpolate(logits, size=span, mode="bilinear", align_corners=False)[0, :, : PICTURE[0], : PICTURE[1]]
    return full.argmax(0).numpy()


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Of some runs, after one that is not counted."""
    work()
    spent = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        spent.append(1000 * (time.perf_counter() - start))
    return statistics.median(spent)


def sizes_and_threads(model: CGRSeg, repeats: int) -> dict[str, float]:
    """OpenVINO's network at two sizes, and on two threads beside the matrix product on two."""
    random = np.random.default_rng(0)
    small, large = (random.standard_normal((1, 3, *side)).astype(np.float32) for side in ((512, 512), (1024, 2048)))
    one = open_engine(model, engine="openvino", threads=1)
    figures = {
        "ms at 512 x 512": median_ms(lambda: one(small), repeats),
        "ms at 2048 x 1024": median_ms(lambda: one(large), max(3, repeats // 4)),
    }
    figures["2048 x 1024 in units of 8 x 512 x 512"] = figures["ms at 2048 x 1024"] / 8 / figures["ms at 512 x 512"]
    if len(os.sched_getaffinity(0)) > 1:
        two = open_engine(model, engine="openvino", threads=2)
        gains, products = [], []
        for _ in range(5):
            gains.append(median_ms(lambda: one(small), 3) / median_ms(lambda: two(small), 3))
            products.append(product_gain())
        figures["network: two threads against one"] = statistics.median(gains)
        figures["matrix product: two threads against one"] = statistics.median(products)
    return figures


def product_gain() -> float:
    """How much faster a matrix product is on two threads."""
    rates = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        rates.append(matrix_rate(5))
    torch.set_num_threads(1)
    return rates[1] / rates[0]


def main() -> None:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    image = resize_image(read_image(Path(str(resources.files("cgrseg") / "assets/street.jpg"))), PICTURE)
    model, official = reference_model("offsets"), reference_model("official")
    with tempfile.TemporaryDirectory() as folder:
        engines = {name: open_engine(model, engine=name, threads=1) for name in ("torch", "onnx", "openvino")}
        engines["openvino int8"] = quantized(model, image, Path(folder))
        times = {name: Times() for name in ("plain", *engines)}
        rates = []
        for round_number in range(options.repeats + 2):
            if round_number == 2:  # the first two are warm-up
                times = {name: Times() for name in times}
            plain_pass(official, image, times["plain"])
            labels = {name: one_pass(engine, image, times[name]) for name, engine in engines.items()}
            rates.append(matrix_rate(2))
    report = table(times, labels, exact_labels(model, image), max(rates))
    report["openvino alone"] = sizes_and_threads(model, options.repeats)
    show(report)
    if options.json:
        options.json.write_text(json.dumps({"machine": vars(machine()), **report}, indent=2, default=str) + "\n")


def table(times: dict[str, Times], labels: dict[str, np.ndarray], exact: np.ndarray, rate: float) -> dict:
    """Medians, ratios within rounds, and equal labels."""
    macs = 6.50e9  # of the padded picture, 704 x 512; benchmarks/plain.py counts them
    rows = {}
    for name, spent in times.items():
        ratios = [whole / own for whole, own in zip(times["plain"].total, spent.total, strict=True)]
        rows[name] = {
            "network ms": statistics.median(spent.network),
            "network / floor": statistics.median(spent.network) / (1000 * macs / rate),
            "after ms": statistics.median(spent.after),
            "total ms": statistics.median(spent.total),
            "plain / this": statistics.median(ratios),
            "equal labels": float((labels[name] == exact).mean()) if name in labels else None,
        }
    return {"GFLOP/s": 2 * rate / 1e9, "floor ms": 1000 * macs / rate, "contenders": rows}


def show(report: dict) -> None:
    """Print the report."""
    print(f"fp32 matrix product {report['GFLOP/s']:.0f} GFLOP/s; the network's floor is {report['floor ms']:.0f} ms")
    print(f"{'':14} {'network':>8} {'/ floor':>8} {'after':>8} {'total':>8} {'plain /':>8} {'equal labels':>13}")
    for name, row in report["contenders"].items():
        equal = "" if row["equal labels"] is None else f"{100 * row['equal labels']:.4f} %"
        times = f"{row['network ms']:8.1f} {row['network / floor']:8.2f} {row['after ms']:8.1f} {row['total ms']:8.1f}"
        print(f"{name:14} {times} {row['plain / this']:8.2f} {equal:>13}")
    for name, value in report["openvino alone"].items():
        print(f"openvino, {name}: {value:.3g}")


if __name__ == "__main__":
    main()
