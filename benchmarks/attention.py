"""Time and memory of one image from 256 to 4,096 pixels: attention by blocks, and the plain pipeline beside it.

    OMP_NUM_THREADS=1 python benchmarks/attention.py [--most 4096] [--json FILE]

CGRSeg-T, 150 classes, random weights, one thread, an image of noise at its own size. Every measurement is a process of
its own: it loads, runs a small image, then this one once, and tells the seconds and how far its memory rose above
where it was before. Where the plain pipeline would need more than `MOST_BYTES`, it is left out.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZES = ((256, 256), (512, 512), (512, 683), (1024, 1024), (1024, 2048), (2048, 2048), (4096, 4096))
WAYS = ("plain", "torch", "openvino")
MOST_BYTES = 10 << 30


def run(way: str, height: int, width: int) -> dict[str, float]:
    """Seconds and bytes of one image, in this process."""
    import torch

    sys.path.insert(0, str(Path(__file__).parent))
    import plain

    from cgrseg import ModelConfig, build_model
    from cgrseg.benchmarking.baselines import ALL_QUERIES
    from cgrseg.labelmap import label_map
    from cgrseg.machine import forget_peak, peak_memory
    from cgrseg.model.efficientformer import set_query_block
    from cgrseg.runtime import open_engine

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build_model(ModelConfig(size="t", classes=150, position="official" if way == "plain" else "offsets")).eval()
    if way == "plain":
        set_query_block(model, ALL_QUERIES)

        def work(image: np.ndarray) -> None:
            with torch.inference_mode():
                plain.stages(model, image)
    else:
        engine = open_engine(model, engine=way, threads=1)

        def work(image: np.ndarray) -> None:
            x = plain.normalise(image, plain.IMAGENET_MEAN, plain.IMAGENET_STD)[None]
            label_map(engine(x)[0], image.shape[:2], image.shape[:2])

    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    work(noise[:96, :96].copy())
    before, start = forget_peak(), time.perf_counter()
    work(noise)
    return {"seconds": time.perf_counter() - start, "bytes": peak_memory() - before}


def is_too_large(way: str, height: int, width: int) -> bool:
    """Whether the plain pipeline would need too much: scores of a quarter of the tokens with all, full-size logits."""
    tokens = (height // 16) * (width // 16)
    return way == "plain" and 3 * 8 * 4 * tokens * tokens // 4 + 2 * 150 * 4 * height * width > MOST_BYTES


def main() -> None:
    """Measure every way at every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, default=4096)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run(options.one[0], int(options.one[1]), int(options.one[2]))))
        return
    rows = []
    print(f"{'width x height':>15}" + "".join(f"{way:>24}" for way in WAYS))
    for height, width in (size for size in SIZES if max(size) <= options.most):
        cells = {}
        for way in WAYS:
            if is_too_large(way, height, width):
                continue
            command = [sys.executable, __file__, "--one", way, str(height), str(width)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  this very file
            cells[way] = json.loads(done.stdout.splitlines()[-1])
        rows.append({"height": height, "width": width, **cells})
        texts = [
            f"{cells[way]['seconds']:.2f} s, {cells[way]['bytes'] / 2**20:,.0f} MiB" if way in cells else "too large"
            for way in WAYS
        ]
        print(f"{f'{width} x {height}':>15}" + "".join(f"{text:>24}" for text in texts), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
