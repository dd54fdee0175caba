"""The honest baseline: the network as released and the label map as everybody computes it, each stage timed.

    python benchmarks/plain.py [PHOTO] [--size t] [--threads 1] [--repeats 20]

    photo (already decoded, fitted to 683 x 512) -- normalise, pad -- eager network, position="official", nothing folded
    -- bilinear to the padded input -- cut, bilinear to the image -- softmax -- argmax

Weights are random (150 classes); time does not depend on them. In the same run it measures the best rate at which this
machine multiplies fp32 matrices: the floor of the network is 2 x multiply-adds / that rate.
"""

import argparse
import statistics
import time
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cgrseg import ModelConfig, build_model
from cgrseg.benchmarking.baselines import ALL_QUERIES
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD
from cgrseg.data.images import read_image, resize_image
from cgrseg.data.transforms import normalise
from cgrseg.model.efficientformer import set_query_block

IMAGE = (512, 683)
"""Height and width: ADE20K's usual size at the paper's short side of 512."""
MATRIX = 1536
WARM_UP = 3


def stages(model: torch.nn.Module, image: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """The label map, and the milliseconds of each stage."""
    marks = [time.perf_counter()]
    x = torch.from_numpy(normalise(image, IMAGENET_MEAN, IMAGENET_STD))[None]
    height, width = x.shape[-2:]
    x = F.pad(x, (0, -width % 32, 0, -height % 32))
    marks.append(time.perf_counter())
    logits = model(x)
    marks.append(time.perf_counter())
    full = F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)
    marks.append(time.perf_counter())
    full = F.interpolate(full[..., :height, :width], size=image.shape[:2], mode="bilinear", align_corners=False)
    marks.append(time.perf_counter())
    probabilities = full.softmax(1)
    marks.append(time.perf_counter())
    labels = probabilities.argmax(1)[0].to(torch.uint8).numpy()
    marks.append(time.perf_counter())
    names = ("prepare", "network", "upsample", "second upsample", "softmax", "argmax")
    spans = (1000 * (end - start) for start, end in pairwise(marks))
    return labels, dict(zip(names, spans, strict=True))


def best_rate(repeats: int) -> float:
    """Multiply-adds per second of the fastest fp32 matrix product seen."""
    one, two = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        one @ two
        seconds.append(time.perf_counter() - start)
    return MATRIX**3 / min(seconds)


def main() -> None:
    """Time everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=resources.files("cgrseg") / "assets/street.jpg")
    parser.add_argument("--size", default="t", choices=["t", "b", "l"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = build_model(ModelConfig(size=options.size, classes=150, position="official")).eval()
    set_query_block(model, ALL_QUERIES)  # as released
    image = resize_image(read_image(Path(str(options.photo))), IMAGE)
    rows, rates = [], []
    with torch.inference_mode():
        for _ in range(WARM_UP):
            stages(model, image)
        for _ in range(options.repeats):
            rows.append(stages(model, image)[1])
            rates.append(best_rate(3))
        counter = FlopCounterMode(display=False)
        with counter:
            model(torch.zeros(1, 3, 512, 704))
    print_table(rows, max(rates), counter.get_total_flops() / 2, options)


def print_table(rows: list[dict[str, float]], rate: float, macs: float, options: argparse.Namespace) -> None:
    """Medians and quartiles, and the network's floor."""
    network = f"CGRSeg-{options.size.capitalize()}, 150 classes, {IMAGE[1]} x {IMAGE[0]}"
    print(f"{network}, {options.threads} thread(s), PyTorch {torch.__version__}")
    print(f"median of {len(rows)} (quartiles), ms")
    totals = [sum(row.values()) for row in rows]
    for name, values in [*((key, [row[key] for row in rows]) for key in rows[0]), ("end to end", totals)]:
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{name:16} {middle:8.1f}  ({low:.1f} .. {high:.1f})")
    floor = f"{macs / 1e9:.2f} G multiply-adds, floor {1000 * macs / rate:.1f} ms"
    print(f"fp32 matrix product {2 * rate / 1e9:.0f} GFLOP/s; {floor}")


if __name__ == "__main__":
    main()
