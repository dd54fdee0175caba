"""What is installed from the wheel works away from this repository."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgrseg.report import SCRIPTS

ROOT = Path(__file__).parents[1]


def run(*command: object, **options: object) -> str:
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=True, **options
    ).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: tests side by side must not share setuptools' scratch folder."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    run("-m", "build", "--wheel", "--no-isolation", copy)
    return next(copy.glob("dist/cgrseg-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    own = [name for name in names if ".dist-info/" not in name]
    assert all(name.startswith("cgrseg/") for name in own)
    assert {"cgrseg/py.typed", "cgrseg/assets/camvid.json", "cgrseg/assets/street.jpg", "cgrseg/assets/cat.jpg"} <= set(
        own
    )
    assert {f"cgrseg/assets/report/report.{end}" for end in ("html", "css")} <= set(own)
    assert {f"cgrseg/assets/report/{script}.js" for script in SCRIPTS} <= set(own)
    assert {f"cgrseg/serving/page/{file.name}" for file in (ROOT / "src/cgrseg/serving/page").iterdir()} <= set(own)
    assert [name for name in names if name.endswith("/NOTICE")]
    assert wheel.stat().st_size < 90 * 2**20


@pytest.mark.slow
def test_the_installed_wheel_segments_the_bundled_photo_by_the_bundled_weights(wheel, tmp_path):
    home = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    away = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(home), "HF_HUB_OFFLINE": "1"}}

    where = run("-c", "import cgrseg; print(cgrseg.__file__)", **away).strip()
    printed = run("-m", "cgrseg", "predict", home / "cgrseg/assets/street.jpg", "-o", "out", **away)

    labels = np.array(Image.open(tmp_path / printed.strip()))
    assert Path(where).is_relative_to(home)
    assert labels.shape == (720, 1280)
    assert 3 <= len(np.unique(labels)) <= 11
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert json.loads(next((tmp_path / "out").glob("*.json")).read_text())


def test_core_dependencies_are_those_that_are_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints-cpu.txt").read_text().splitlines()
    }

    extras = project["optional-dependencies"]
    needed = project["dependencies"] + [need for extra in extras.values() for need in extra]

    assert not [need for need in needed if re.split(r"[\[>]", need)[0] not in pinned | {"cgrseg"}]
