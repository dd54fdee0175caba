"""A report on six small images."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.colour_engine import ColourEngine, colour_info
from support.reported import NAMES, STRANGE, Scene, draw

from cgrseg.data.datasets import open_dataset
from cgrseg.evaluation import evaluate
from cgrseg.predictor import Segmenter
from cgrseg.report import write_report


@pytest.fixture(scope="session")
def scene(tmp_path_factory) -> Scene:
    root = tmp_path_factory.mktemp("scene")
    for part in ("images", "annotations"):
        (root / part / "val").mkdir(parents=True)
    for name, wrong in zip(NAMES, (0, 0.375, 0.5, 0.625, 1, 0), strict=True):
        draw(root, name, wrong)
    (root / "classes.txt").write_text("\n".join(STRANGE.names), encoding="utf-8")
    segmenter = Segmenter(ColourEngine(), replace(colour_info(), classes=STRANGE), "weights/<b>odd.safetensors")
    dataset = open_dataset("folder", root, "val")
    return Scene(segmenter, dataset, evaluate(segmenter, dataset, boundary=True, calibration=True))


@pytest.fixture(scope="session")
def write(scene) -> Callable[..., Path]:
    """Writes the report of the scene."""

    def write(path: Path, **options: object) -> Path:
        return write_report(path, scene.evaluation, scene.segmenter, scene.dataset, **options)

    return write


@pytest.fixture(scope="session")
def report(write, tmp_path_factory) -> Path:
    """The page of the scene, compared with itself."""
    return write(tmp_path_factory.mktemp("report") / "odd name #1.html", run={"command": "cgrseg evaluate '<&>'"})
