"""docs/datasets.md says what the code does."""

import inspect
import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
import yaml

from cgrseg.classes import read_published
from cgrseg.cli import commands
from cgrseg.config import Kind
from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.published import find_ade20k
from cgrseg.data.datasets.table import read_table
from cgrseg.data.mixture import allowed_classes, common_classes
from cgrseg.recipes import parse_recipe

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/datasets.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def commands_of(text: str) -> list[str]:
    return [re.sub(r"\s+#.*", "", line) for line in text.splitlines() if line.startswith("cgrseg ")]


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind != "folder"])
def test_each_kind_is_in_the_table_with_its_numbers_and_has_its_terms(kind):
    known = read_published(kind)
    numbers = (f"{count:,}" for count in (len(known.classes), known.splits["train"], known.splits["val"]))

    assert f"| `{kind}` | {' | '.join(numbers)} |" in PAGE
    assert re.search(rf"^### .*\b{kind}\b", PAGE, re.MULTILINE)
    assert f"{known.terms[0].upper()}{known.terms[1:]}." in PAGE
    assert known.home in PAGE


@pytest.mark.parametrize("line", [line for block in blocks("bash") for line in commands_of(block)])
def test_each_command_is_accepted(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("path/to/CamVid", "my-photos", "path/to/voc", "path/to/facades"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "merge.yaml").write_text(blocks("yaml")[0])
    verb, *arguments = shlex.split(line)[1:]

    commands.commands[verb].make_context(verb, arguments)


def test_the_merge_shown_mentions_every_class_of_camvid(shared_data, tmp_path):
    (tmp_path / "merge.yaml").write_text(blocks("yaml")[0])
    sample = shared_data / "CamVid_official_sample"

    dataset = open_dataset("camvid", sample, "val", merge=tmp_path / "merge.yaml")

    assert f"dataset.classes.names == {json.dumps(dataset.classes.names)}".replace("[", "(").replace("]", ")") in PAGE


def test_the_recipe_of_several_data_sets_is_one():
    recipe = parse_recipe(yaml.safe_load(blocks("yaml")[1]), "the page")

    things = ("background", "car", "pottedplant", "dontcare", "zebra")
    allowed = allowed_classes(things, recipe.sources["voc"], common_classes(recipe.data).names, "voc")
    assert allowed == ((0, 1, 2, 3, 4, 6, 7), (5,), (4,), (), (7,))


@pytest.mark.parametrize("block", blocks("json"))
def test_each_description_of_a_folder_is_read(block, tmp_path):
    (tmp_path / "meta.json").write_text(block)

    assert len(read_table(tmp_path).classes) == 2


def test_the_reader_and_the_table_shown_are_the_real_ones():
    table = (ROOT / "src/cgrseg/assets/ade20k.json").read_text(encoding="utf-8")

    assert inspect.getsource(find_ade20k) in blocks("python")
    assert "\n".join(table.splitlines()[:9]) in PAGE
