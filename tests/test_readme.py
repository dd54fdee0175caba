"""Every block of the README runs, or is a command that the command line accepts."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgrseg.classes import published
from cgrseg.cli import commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def lines(text: str) -> list[str]:
    stripped = (re.sub(r"\s+#.*", "", line).strip() for block in blocks(text, "bash") for line in block.splitlines())
    return [line for line in stripped if line]


def alone(line: str) -> str:
    """What each of torchrun's processes runs; any other line as it is."""
    return re.sub(r"^torchrun --nproc-per-node \d+ -m cgrseg ", "cgrseg ", line)


@pytest.fixture
def desk(tmp_path, monkeypatch, photo) -> Path:
    """A folder with what the README's examples name, made the current one."""
    monkeypatch.chdir(tmp_path)
    for name in ("street.jpg", "photo.jpg", "photos/one.jpg", "my-photos/images/val/one.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / name)
    (tmp_path / "my-photos/annotations/val").mkdir(parents=True)
    (tmp_path / "my-photos/classes.txt").write_text("\n".join(published("camvid").names), encoding="utf-8")
    Image.fromarray(np.full((720, 1280), 3, np.uint8)).save(tmp_path / "my-photos/annotations/val/one.png")
    for folder in ("CamVid", "ADEChallengeData2016", "VOC2012"):
        (tmp_path / "path/to" / folder).mkdir(parents=True)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks(README, "python"))
def test_each_python_block_runs(desk, block):
    exec(compile(block, "README.md", "exec"), {})


@pytest.mark.parametrize("line", [line for line in map(alone, lines(README)) if line.startswith("cgrseg ")])
def test_each_command_is_accepted(desk, line):
    verb, *arguments = shlex.split(line)[1:]

    commands.commands[verb].make_context(verb, arguments)


@pytest.mark.parametrize(
    "line", [line for line in map(alone, lines(README + CONTRIBUTING)) if not line.startswith("cgrseg ")]
)
def test_each_other_line_is_known_to_work(line):
    goals = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installs = {"pip install .", *(f"pip install '.[{extra}]'" for extra in extras)}

    assert line in installs or (line.startswith("make ") and set(line.split()[1:]) <= set(goals))


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_each_link_to_a_file_leads_somewhere(document):
    targets = re.findall(r"\]\(((?!https?:)[^)#]+)\)", (ROOT / document).read_text(encoding="utf-8"))

    assert not [target for target in targets if not (ROOT / target).exists()]


def test_no_number_is_left_to_fill_in():
    assert not re.findall(r"@@\w+@@", README)


def test_the_layers_described_are_those_checked():
    contract = re.search(r"^layers = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)
    checked = set(re.findall(r"\w+", contract[1]))

    assert not [name for name in checked if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", CONTRIBUTING)]
