"""`cgrseg train` and `cgrseg evaluate` with --data for each of several data sets."""

import pytest
import yaml
from support.planted import make_folder
from support.tiny import draw_images

MIXED = """
model: {size: s0, preset: from_scratch}
data: {classes: [night, day, dusk], fit_px: [48, 64], scale: [1, 1], crops_px: [[32, 32]], workers: 0}
sources:
  first: {classes: {dark: night, bright: day}}
  second: {classes: {dark: dusk, bright: rest}}
train: {steps: 2, batch_size: 2, warmup_steps: 1, eval_every: 2, groups: matrices}
inference: {short_px: 48}
"""


@pytest.fixture
def folders(tmp_path):
    return {name: draw_images(tmp_path / name) for name in ("first", "second")}


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "mixed.yaml").write_text(MIXED, encoding="utf-8")
    return tmp_path / "mixed.yaml"


def given(folders, kind=None):
    return [word for name, folder in folders.items() for word in ("--data", f"{kind or name}={folder}")]


@pytest.mark.slow
def test_a_recipe_with_sources_is_trained_resumed_and_scored_on_all_or_one(run, recipe, folders, tmp_path):
    trained = run("train", recipe, *given(folders), "-o", tmp_path / "run")
    again = run("train", *given(folders, "folder"), "-o", tmp_path / "run", "--resume")
    both = run("evaluate", tmp_path / "run/best.safetensors", *given(folders), "--engine", "torch")
    one = run("evaluate", tmp_path / "run/best.safetensors", *given({"second": folders["second"]}), "--engine", "torch")

    assert (trained.code, again.code, both.code, one.code) == (0, 0, 0, 0), trained.err + again.err + both.err
    assert "12 images (first 6, second 6), 3 classes, 2 steps" in trained.err
    assert "the mean of first " in trained.err
    assert f"--data first={folders['first']} --data second={folders['second']} --resume" in trained.err
    assert "mixture val, 4 images" in both.out
    assert "first: pixel accuracy" in both.out
    assert "mixture val, 2 images" in one.out
    assert "first" not in one.out


@pytest.mark.slow
def test_several_data_sets_need_no_recipe(run, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    changes = ("train.steps=2", "data.workers=0", "model.size=s0", "train.channels_last=true")
    made = run("train", *given(folders, "folder"), *(word for change in changes for word in ("--set", change)))

    assert made.code == 0, made.err
    assert "12 images to train on, 4 to evaluate on" in made.err
    assert "shares of the samples, by the square roots of the sizes: first 0.5 (6 images), second 0.5" in made.err
    recipe = yaml.safe_load((tmp_path / "runs/first-second/recipe.yaml").read_text())
    assert recipe["data"]["classes"] == ["dark", "bright"]
    assert list(recipe["sources"]) == ["first", "second"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("first", "frist"), 1, "the recipe has no source 'frist'; did you mean"),
        (("first",), 1, "no path is given for second of the recipe's sources"),
        (("first", "first"), 2, "--data gives 'first' twice; each source has one folder"),
    ],
)
def test_each_source_has_its_data(run, recipe, folders, tmp_path, words, code, message):
    named = [part for word in words for part in ("--data", f"{word}={folders['first']}")]

    result = run("train", recipe, *named, "-o", tmp_path / "run")

    assert result.code == code
    assert message in " ".join(result.err.split())


def test_one_data_set_more_than_the_recipe_takes_is_refused(run, folders, tmp_path):
    recipe = tmp_path / "one.yaml"
    recipe.write_text("train: {steps: 2}", encoding="utf-8")

    result = run("train", recipe, *given(folders, "folder"), "-o", tmp_path / "run")

    assert result.code == 2
    assert "--data is there several times, but there are no sources" in result.err


def test_a_mixture_takes_no_merge(run, recipe, folders, tmp_path):
    (tmp_path / "merge.yaml").write_text("all: [dark, bright]", encoding="utf-8")

    result = run("train", recipe, *given(folders), "--merge", tmp_path / "merge.yaml", "-o", tmp_path / "run")

    assert result.code == 2
    assert "--merge is for one data set" in result.err


def test_several_data_sets_are_checked_each_and_as_one(run, tmp_path):
    one, two = make_folder(tmp_path / "one"), make_folder(tmp_path / "two")

    result = run("data", "check", "--data", f"folder={one}", "--data", f"folder={two}")

    assert result.code == 0
    assert f"folder {one} (images and annotations), images: train 6, val 3" in result.out
    assert "2 sources as one" in result.out
    assert "twice" in result.out


def test_a_sheet_of_several_data_sets_has_images_of_each(run, tmp_path):
    folders = [f"folder={make_folder(tmp_path / name)}" for name in ("one", "two")]

    result = run("data", "show", "--data", folders[0], "--data", folders[1], "--count", "4", "-o", tmp_path / "s.png")

    assert result.code == 0
    assert (tmp_path / "s.png").stat().st_size > 10_000
