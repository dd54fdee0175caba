"""How much faster a training step is than the plain one, and whether it learns the same.

    python benchmarks/step.py [--crop 256 512] [--threads 1 2] [--batch 4] [--rounds 7] [--ways ...] [--json FILE]
    python benchmarks/step.py --curve [--steps 60]

The same network (CGRSeg-T, 11 classes, from scratch), batches and loss in one process; the ways take turns, each step
of a round a way, every second round backwards. `plain` is what one writes first: floats, cross-entropy on full-size
logits, AdamW as it comes. The others change one thing after the other. `--curve` trains each way from the same weights
on the same batches and prints its losses beside the plain ones.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from cgrseg.config import PRESETS, ModelConfig, Recipe, TrainConfig
from cgrseg.data.loader import Batch
from cgrseg.machine import machine
from cgrseg.model import build_model
from cgrseg.training.distributed import Processes
from cgrseg.training.losses import label_weights
from cgrseg.training.step import Stepper
from cgrseg.training.train import new_state

CLASSES = 11
BASE = TrainConfig(steps=10_000, lr=1e-3, warmup_steps=0, groups="matrices", weight_decay=0.05, channels_last=False)
WAYS = {
    "loss": BASE,
    "channels_last": replace(BASE, channels_last=True),
    "bf16": replace(BASE, channels_last=True, precision="bf16"),
    "compile": replace(BASE, channels_last=True, compile=True),
    "bf16+compile": replace(BASE, channels_last=True, precision="bf16", compile=True),
}
"""`loss` is the loss without full-size maps of a batch, and AdamW in one kernel."""


class Plain:
    """The step as one writes it first."""

    def __init__(self) -> None:
        self.model = network()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=BASE.lr, weight_decay=BASE.weight_decay)

    def take(self, batch: Batch) -> float:
        self.model.train()
        logits = self.model(batch.images)
        full = F.interpolate(logits, size=batch.labels.shape[1:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(full, batch.labels.long(), ignore_index=255)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


class Ours:
    """The step of a run."""

    def __init__(self, config: TrainConfig) -> None:
        self.stepper = Stepper(new_state(network(), Recipe(train=config)), config, Processes(), label_weights(CLASSES))

    def take(self, batch: Batch) -> float:
        return self.stepper.step(batch).loss


def network() -> nn.Module:
    """The same weights each time, without dropout."""
    torch.manual_seed(0)
    model = build_model(ModelConfig(size="t", classes=CLASSES, **PRESETS["from_scratch"]))
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0  # its random numbers are drawn from other seeds
    return model


def batch_of(step: int, crop: int, count: int) -> Batch:
    """Images of blobs whose class can be seen."""
    rng = np.random.default_rng(step)
    coarse = rng.integers(0, CLASSES, (count, crop // 32, crop // 32)).astype(np.uint8)
    labels = np.ascontiguousarray(coarse.repeat(32, 1).repeat(32, 2))
    table = np.random.default_rng(1).normal(size=(CLASSES, 3)).astype(np.float32)
    images = table[labels].transpose(0, 3, 1, 2) + rng.normal(size=(count, 3, crop, crop)).astype(np.float32)
    return Batch(step, torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(labels), ("drawn",) * count)


def contenders(names: list[str]) -> dict[str, Plain | Ours]:
    """The plain way and those of some names."""
    return {"plain": Plain()} | {name: Ours(WAYS[name]) for name in names}


def measure(names: list[str], crop: int, count: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, after two that are not counted."""
    ways, seconds = contenders(names), {name: [] for name in ("plain", *names)}
    for turn in range(rounds + 2):
        batch = batch_of(turn, crop, count)
        for name in list(ways)[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            ways[name].take(batch)
            if turn >= 2:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def curve(names: list[str], crop: int, count: int, steps: int) -> dict[str, list[float]]:
    """The losses of each way from the same weights."""
    ways = contenders(names)
    batches = [batch_of(step, crop, count) for step in range(steps)]
    return {name: [way.take(batch) for batch in batches] for name, way in ways.items()}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crop", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report: dict = {"machine": machine().as_tree(), "batch": options.batch, "rows": []}
    for threads in options.threads:
        torch.set_num_threads(threads)
        for crop in options.crop:
            if options.curve:
                told = curve(options.ways, crop, options.batch, options.steps)
                show_curve(told)
                report["rows"].append({"threads": threads, "crop": crop, "losses": told})
                continue
            seconds = measure(options.ways, crop, options.batch, options.rounds)
            report["rows"].append({"threads": threads, "crop": crop, "seconds": seconds})
            show(seconds, crop, threads, options.batch)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def show(seconds: dict[str, list[float]], crop: int, threads: int, count: int) -> None:
    """Images a second, and the median of the ratios within rounds."""
    for name, taken in seconds.items():
        ratios = [first / second for first, second in zip(seconds["plain"], taken, strict=True)]
        speed, gain = count / statistics.median(taken), statistics.median(ratios)
        print(f"{threads} threads  {crop} px  {name:14} {speed:6.2f} images/s  {gain:5.2f} x", flush=True)


def show_curve(told: dict[str, list[float]]) -> None:
    """How far losses are from the plain ones."""
    plain = np.array(told["plain"])
    for name, losses in told.items():
        tail = np.mean(losses[-10:])
        largest = np.abs(np.array(losses) - plain).max()
        print(f"{name:14} last ten {tail:.4f}, plain {plain[-10:].mean():.4f}; largest difference {largest:.4f}")


if __name__ == "__main__":
    main()
