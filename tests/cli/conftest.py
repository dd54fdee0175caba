"""Commands run as a person runs them, with small random weights."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cgrseg.classes import named
from cgrseg.cli import main
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.model import build_model
from cgrseg.weights import WeightsInfo, save_weights

NAMES = ("sky", "road", "car")


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Run = Callable[..., Finished]


@pytest.fixture
def run(monkeypatch, capsys) -> Run:
    """Runs `cgrseg` with the given arguments."""

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["cgrseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return Finished(left.value.code or 0, printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A weights file of the smallest network, random, for three classes."""
    torch.manual_seed(0)
    config = ModelConfig(size="s0", classes=len(NAMES), layer_scale=0.1, rcm_scale=0.1)
    info = WeightsInfo(
        model=config, classes=named(NAMES), inference=InferenceConfig(short_px=64), scores={"val/miou": 0.5}
    )
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, build_model(config).eval(), info)
    return path


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder with two small images."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def labelled(tmp_path) -> Path:
    """A folder data set of four images to learn from and two to score on."""
    root = tmp_path / "labelled"
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        (root / "images" / split).mkdir(parents=True)
        (root / "annotations" / split).mkdir(parents=True)
        for index in range(count):
            labels = rng.integers(0, len(NAMES), (6, 8), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
            Image.fromarray(labels).save(root / "annotations" / split / f"{index}.png")
            Image.fromarray(np.repeat(labels[..., None] * 80, 3, axis=2)).save(root / "images" / split / f"{index}.png")
    (root / "classes.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return root
