"""docs/your-photos.md names commands that exist, and Python that can be imported."""

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from cgrseg.cli import commands

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/your-photos.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def commands_of(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("cgrseg ")]


@pytest.mark.parametrize("line", [line for block in blocks("bash") for line in commands_of(block)])
def test_each_command_is_accepted(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my-photos", "street", "scenes", "corrected"):
        (tmp_path / name).mkdir()
    verb, *arguments = shlex.split(line)[1:]

    commands.commands[verb].make_context(verb, arguments)


@pytest.mark.parametrize("block", blocks("python"))
def test_what_python_imports_is_there(block):
    found = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]

    for node in found:
        assert all(hasattr(import_module(node.module), alias.name) for alias in node.names)


def test_each_link_to_a_file_leads_somewhere():
    targets = re.findall(r"\]\(((?!https?:)[^)#]+)", PAGE)

    assert not [target for target in targets if not (ROOT / "docs" / target).exists()]
