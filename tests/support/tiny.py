"""The smallest complete run: two splits of synthetic images, a recipe of four steps, helpers to read its results."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cgrseg.config import DataConfig, InferenceConfig, ModelConfig, Recipe, TrainConfig
from cgrseg.data.images import write_image, write_palette_png
from cgrseg.model import variants
from cgrseg.training.checkpoint import read_checkpoint

RECIPE = Recipe(
    model=ModelConfig(size="s0", layer_scale=0.1, rcm_scale=0.1),
    data=DataConfig(kind="folder", fit_px=(48, 64), scale=(0.8, 1.2), crops_px=((32, 32), (32, 64)), workers=0),
    train=TrainConfig(
        steps=4, batch_size=2, lr=2e-3, warmup_steps=1, eval_every=2, groups="matrices", ema=0.5, clip_norm=1.0
    ),
    inference=InferenceConfig(short_px=48),
)


@contextmanager
def few_blocks() -> Iterator[None]:
    """Sizes `s0` and `lite` with every kind of layer, but one or two of each: exporting them takes two thirds."""
    blocks = replace(variants.S0, expansions=((4,), (4,), (3,), (3,)), attending=1)
    rows = tuple(replace(row, repeats=min(row.repeats, 2)) for row in variants.LITE2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(variants.PLANS, "s0", blocks)
        patch.setattr(variants, "LITE2", rows)
        for size in ("s0", "lite"):
            patch.setitem(variants.VARIANTS, size, replace(variants.VARIANTS[size], rcms=1))
        yield


def draw_images(folder: Path) -> Path:
    """Write a folder data set of images that are dark on the left and bright on the right, labelled accordingly."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for part in ("images", "annotations"):
            (folder / part / split).mkdir(parents=True)
        for index in range(count):
            border = int(rng.integers(16, 48))
            labels = (np.arange(64) >= border)[None].repeat(48, 0).astype(np.uint8)
            image = (60 + 140 * labels[..., None] + rng.integers(-20, 20, (48, 64, 3))).astype(np.uint8)
            write_image(folder / "images" / split / f"{index}.png", image)
            write_palette_png(folder / "annotations" / split / f"{index}.png", labels, ((0, 0, 0), (9, 9, 9)))
    (folder / "classes.txt").write_text("dark\nbright\n")
    return folder


def events(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def numbers(run: Path) -> list[tuple]:
    """The logged numbers that do not depend on time or machine."""
    keys = ("event", "step", "loss", "lr", "gradient", "miou", "pixel_accuracy", "best")
    return [tuple(event.get(key) for key in keys) for event in events(run) if event["event"] != "started"]


def state_of(run: Path) -> dict:
    return read_checkpoint(run / "states")[0]


def assert_same(one: object, other: object) -> None:
    """Require two trees of tensors and numbers to be equal to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other
