"""Each recipe that ships: its head is true, its page lists it, and a run of it trains."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.drawn import DRAW

import cgrseg
from cgrseg.advisor.deviations import PUBLISHED, compare_with_published
from cgrseg.benchmarking.entries import complexity
from cgrseg.classes import published
from cgrseg.cli import commands
from cgrseg.weights.backbone import BACKBONES

ROOT = Path(__file__).parents[1]
RECIPES = [file for file in sorted((ROOT / "recipes").glob("*.yaml")) if "\nsources:" not in file.read_text("utf-8")]
"""Those of one data set."""
PAGE = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
TINY = (
    "data.fit_px=[48, 96]",
    "data.crops_px=[[32, 64]]",
    "data.workers=0",
    "train.steps=2",
    "train.batch_size=2",
    "train.warmup_steps=1",
    "train.eval_every=2",
    "inference.short_px=48",
    "inference.long_px=96",
)
MACS_PER_HOUR = 0.5e12 * 3600
"""What the page assumes of a GPU."""
PUBLISHED_RUNS = [file for file in RECIPES if "camvid" not in file.name]

every_recipe = pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
every_published_run = pytest.mark.parametrize("file", PUBLISHED_RUNS, ids=lambda file: file.stem)


def head_of(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("#")]


def row_of(file: Path) -> list[str]:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith(f"| `{file.stem}` |")]
    assert len(rows) == 1
    return rows[0]


@every_recipe
def test_the_command_in_the_head_runs_this_file_on_its_data(file, tmp_path, monkeypatch):
    command = next(line for line in head_of(file) if line.startswith("cgrseg "))
    verb, *arguments = shlex.split(command)[1:]
    monkeypatch.chdir(tmp_path)
    Path(arguments[-1].partition("=")[2]).mkdir(parents=True)

    context = commands.commands[verb].make_context(verb, arguments)

    assert context.params["recipe"] == Path("recipes", file.name)
    assert context.params["data"].kind == cgrseg.read_recipe(file).data.kind


@every_recipe
def test_the_name_of_the_file_is_its_size_and_data(file):
    recipe = cgrseg.read_recipe(file)

    assert file.stem == f"cgrseg-{recipe.model.size}-{recipe.data.kind}"


@every_recipe
def test_the_page_lists_the_recipe_with_its_numbers(file):
    recipe, head = cgrseg.read_recipe(file), " ".join(head_of(file))
    scores, hours = re.findall(r"mIoU (\d+\.\d)", head), re.findall(r"About (\d+) GPU-hours, an estimate", head)

    _, size, _, schedule, crop, expected, estimated = row_of(file)

    assert size == recipe.model.size.capitalize()
    assert schedule == f"{recipe.train.steps:,} x {recipe.train.batch_size}"
    assert crop == ", ".join(f"{height} x {width}" for height, width in recipe.data.crops_px)
    assert re.findall(r"\d+\.\d", expected) == scores
    assert re.findall(r"\d+", estimated) == hours


@every_published_run
def test_a_recipe_of_a_published_run_starts_from_the_backbone_of_its_size(file):
    recipe = cgrseg.read_recipe(file)

    family, version = BACKBONES[recipe.model.size].lower().split("-")
    assert recipe.start.backbone == f"timm/{family}_{version}.snap_dist_in1k"
    assert recipe.start.attention_tables == "zero"


@every_published_run
def test_a_recipe_of_a_published_run_differs_from_it_only_where_images_are_not_of_the_trained_size(file):
    comparison = compare_with_published(cgrseg.read_recipe(file))

    assert comparison.source == PUBLISHED[cgrseg.read_recipe(file).data.kind][0]
    assert [deviation.name for deviation in comparison.settings] == ["model.position"]


@pytest.mark.slow
@every_recipe
def test_two_steps_of_the_recipe_give_weights(file, tmp_path, imagenet_s0, imagenet_lite):
    shipped = cgrseg.read_recipe(file)
    is_lite = shipped.model.size == "lite"
    network = ("model.size=lite" if is_lite else "model.size=s0",)
    if shipped.start.backbone is not None:
        network += (f"start.backbone={imagenet_lite if is_lite else imagenet_s0}",)
    recipe = cgrseg.read_recipe(file, (*TINY, *network))
    data = tmp_path / "data"
    data.mkdir()
    DRAW[recipe.data.kind](data)

    best = cgrseg.train(recipe, data, tmp_path / "run")

    assert cgrseg.load(best).info.step == 2
    assert cgrseg.load(best).classes.names == cgrseg.open_dataset(recipe.data.kind, data, "val").classes.names


@pytest.mark.slow
@every_published_run
def test_the_hours_follow_from_the_macs_as_the_page_says(file):
    recipe = cgrseg.read_recipe(file)
    model = replace(recipe.model, classes=len(published(recipe.data.kind)))

    macs = complexity(lambda: cgrseg.build_model(model), recipe.data.crops_px[0]).macs

    hours = macs * 3 * recipe.train.steps * recipe.train.batch_size / MACS_PER_HOUR
    assert row_of(file)[-1] == f"{hours:.0f}"
    assert f"{macs / 1e9:.2f}" in PAGE


@pytest.mark.parametrize("line", [line for line in PAGE.splitlines() if line.startswith("cgrseg ")])
def test_each_command_of_the_page_is_accepted(line, tmp_path, monkeypatch):
    verb, *arguments = shlex.split(line)[1:]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path/to/ADEChallengeData2016").mkdir(parents=True)

    commands.commands[verb].make_context(verb, arguments)


def test_the_deviations_on_the_page_are_what_is_printed(monkeypatch):
    monkeypatch.chdir(ROOT)

    told = CliRunner().invoke(commands, ["train", "recipes/cgrseg-t-ade20k.yaml", "--deviations"])

    assert f"```\n{told.output}```" in PAGE
