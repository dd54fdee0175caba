"""docs/training.md names commands, settings and files that exist."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from cgrseg.cli import commands
from cgrseg.config import TrainConfig

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("line", [line for block in BLOCKS for line in block.splitlines()])
def test_each_command_is_accepted(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("CamVid", "ADEChallengeData2016"):
        (tmp_path / "path/to" / name).mkdir(parents=True)
    verb, *arguments = shlex.split(re.sub(r"^torchrun --nproc-per-node \d+ -m ", "", line))[1:]

    commands.commands[verb].make_context(verb, arguments)


def test_each_setting_is_one():
    named = re.findall(r"`train\.(\w+)", PAGE)

    assert named
    assert set(named) <= {field.name for field in fields(TrainConfig)}


def test_each_link_to_a_file_leads_somewhere():
    targets = re.findall(r"\]\(((?!https?:)[^)#]+)", PAGE)

    assert targets
    assert not [target for target in targets if not (ROOT / "docs" / target).exists()]
