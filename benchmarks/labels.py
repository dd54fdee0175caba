"""What a label map costs, and whether it is right: the fused kernels beside upsampling, softmax and argmax in PyTorch.

    OMP_NUM_THREADS=1 python benchmarks/labels.py [PHOTO] [--threads 1] [--repeats 15]

    label map      labeling.label_map
    + confidence   labeling.label_map and labeling.confidence_map
    one step       bilinear to the image, maximum (quicker than argmax where classes are few)
    two steps      bilinear to the network's input, bilinear to the image, softmax, argmax and maximum

on the grid of an image of 683 x 512, of which the last column of points reaches beyond it. Logits are those of the
bundled weights on the photo, of a CGRSeg-T for 150 classes with random weights on the photo, and plain noise. The ways
take turns. Wrong pixels are those whose class is not the argmax in 64 bits.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numba
import numpy as np
import torch
from torch.nn import functional as F

import cgrseg
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD
from cgrseg.data.images import read_image, resize_image
from cgrseg.data.transforms import normalise
from cgrseg.labelmap import confidence_map, label_map

IMAGE = (512, 683)
"""Height and width: ADE20K's usual size at the paper's short side of 512."""


def make_logits(photo: Path) -> dict[str, torch.Tensor]:
    """The grids that are measured, each (1, k, 64, 86)."""
    x = torch.from_numpy(normalise(resize_image(read_image(photo), IMAGE), IMAGENET_MEAN, IMAGENET_STD))[None]
    torch.manual_seed(0)
    untrained = cgrseg.build_model(cgrseg.ModelConfig(size="t", classes=150)).eval()
    trained = cgrseg.load("cgrseg-t-camvid", engine="torch").model
    with torch.inference_mode():
        return {
            "trained, 11 classes": trained(x).clone(),
            "untrained, 150 classes": untrained(x).clone(),
            "noise, 150 classes": torch.randn(1, 150, 64, 86),
        }


def upsample(logits: torch.Tensor) -> torch.Tensor:
    """All logits at each pixel of the network's input, the part beyond the image cut off."""
    size = (8 * logits.shape[-2], 8 * logits.shape[-1])
    return F.interpolate(logits, size=size, mode="bilinear")[..., : IMAGE[0], : IMAGE[1]]


def two_steps(logits: torch.Tensor) -> torch.Tensor:
    """The labels by the usual pipeline, which computes probabilities on the way."""
    full = F.interpolate(upsample(logits), size=IMAGE, mode="bilinear")
    return full.softmax(dim=1).max(dim=1).indices[0]


def ways(threads: int) -> dict[str, Callable[[torch.Tensor], object]]:
    """What is timed."""

    def fused(logits: torch.Tensor) -> torch.Tensor:
        return label_map(logits[0], IMAGE, extent=IMAGE, threads=threads)

    return {
        "label map": fused,
        "+ confidence": lambda x: (fused(x), confidence_map(x[0], IMAGE, extent=IMAGE, threads=threads))[0],
        "one step": lambda x: upsample(x).max(dim=1).indices[0],
        "two steps": two_steps,
    }


def measure(logits: torch.Tensor, threads: int, repeats: int) -> list[tuple[str, list[float], int]]:
    """The milliseconds of each way, and its wrong pixels."""
    truth = upsample(logits.double()).argmax(dim=1)[0].numpy()
    timed = ways(threads)
    wrong = {name: int((np.asarray(run(logits)) != truth).sum()) for name, run in timed.items()}
    spent: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(repeats):
        for name, run in timed.items():
            start = time.perf_counter()
            run(logits)
            spent[name].append(1000 * (time.perf_counter() - start))
    return [(name, spent[name], wrong[name]) for name in timed]


def main() -> None:
    """Time every way on every grid and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", type=Path, default=resources.files("cgrseg") / "assets/street.jpg")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    versions = f"PyTorch {torch.__version__}, numba {numba.__version__}"
    print(f"{IMAGE[1]} x {IMAGE[0]} pixels, {options.threads} thread(s), {versions}, median of {options.repeats}")
    for title, logits in make_logits(Path(str(options.photo))).items():
        rows = measure(logits, options.threads, options.repeats)
        print(f"\n{title:24} {'ms':>8}  (quartiles)       x label map  wrong pixels")
        for name, spent, wrong in rows:
            low, middle, high = statistics.quantiles(spent, n=4)
            ratio = statistics.median(own / ours for own, ours in zip(spent, rows[0][1], strict=True))
            print(f"{name:24} {middle:8.1f}  {f'({low:.1f} .. {high:.1f})':16} {ratio:12.1f} {wrong:13}")


if __name__ == "__main__":
    main()
