"""Training on two data sets as one, and resuming such a run bit for bit."""

from dataclasses import replace

import pytest
from support.tiny import RECIPE, assert_same, draw_images, events, numbers, state_of

from cgrseg.config import SourceConfig
from cgrseg.data.mixture import open_mixture
from cgrseg.errors import DatasetError, RecipeError, RunStopped, TrainingError
from cgrseg.evaluation import evaluate
from cgrseg.predictor import load
from cgrseg.training import train
from cgrseg.training.events import Stepped
from cgrseg.weights import read_info

MIXED = replace(
    RECIPE,
    data=replace(RECIPE.data, classes=("night", "day", "dusk"), repeat_rare=0.8),
    sources={
        "first": SourceConfig(share=2.0, classes={"dark": "night", "bright": "day"}),
        "second": SourceConfig(classes={"dark": "dusk", "bright": "rest"}),
    },
    train=replace(RECIPE.train, steps=8, eval_every=4, class_weights="log"),
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture")
    return {name: draw_images(folder / name) for name in ("first", "second")}


@pytest.fixture(scope="module")
def whole(paths, tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    train(MIXED, paths, run)
    return run


def test_a_run_logs_its_sources_and_the_scores_of_each(whole):
    started, *_, scored = events(whole)

    assert started["sources"] == {"first": 6, "second": 6}
    assert scored["by_source"].keys() == {"first", "second"}
    assert scored["headline"] == pytest.approx(sum(scores["miou"] for scores in scored["by_source"].values()) / 2)


def test_the_weights_know_the_common_classes_and_the_sources(whole):
    info = read_info(whole / "best.safetensors")

    assert info.classes.names == ("night", "day", "dusk")
    assert info.recipe is not None
    assert info.recipe.sources == MIXED.sources
    assert "val/source_mean/miou" in info.scores
    assert len(info.trained_on) == 12
    assert load(whole / "best.safetensors").classes.names == info.classes.names


def test_the_counts_of_each_source_add_up_over_parts(whole, paths):
    segmenter = load(whole / "best.safetensors", engine="torch")
    dataset = open_mixture(MIXED.sources, segmenter.classes, paths, "val")

    together = evaluate(segmenter, dataset).sources
    parts = [
        evaluate(segmenter, replace(dataset, pairs=pairs)).sources for pairs in (dataset.pairs[:1], dataset.pairs[1:])
    ]

    assert together.names == ("first", "second")
    assert (together.matrices == sum(part.matrices for part in parts)).all()
    assert (together.allowed == sum(part.allowed for part in parts)).all()
    assert (together.allowed[:, 1] > 0).tolist() == [False, True]


def test_a_stopped_run_on_several_data_sets_resumes_bit_for_bit(whole, paths, tmp_path):
    with pytest.raises(RunStopped):
        train(MIXED, paths, tmp_path, watch=lambda event: isinstance(event, Stepped) and event.step == 5)
    train(MIXED, paths, tmp_path, resume=True)

    assert_same(state_of(tmp_path), state_of(whole))
    assert numbers(tmp_path) == numbers(whole)


def test_a_run_does_not_resume_with_other_shares(whole, paths):
    first = replace(MIXED.sources["first"], share=3.0)

    with pytest.raises(TrainingError, match=r"sources\.first was .*'share': 2\.0.* is .*'share': 3\.0"):
        train(replace(MIXED, sources=MIXED.sources | {"first": first}), paths, whole, resume=True)


def test_a_recipe_with_sources_needs_their_folders_by_name(paths, tmp_path):
    with pytest.raises(DatasetError, match=r"the recipe has the sources first, second, and .* is one folder"):
        train(MIXED, paths["first"], tmp_path)
    with pytest.raises(DatasetError, match="the recipe has no sources, but folders were given for first, second"):
        train(RECIPE, paths, tmp_path)


def test_settings_of_a_single_data_set_are_an_error_with_sources(paths, tmp_path):
    recipe = replace(MIXED, data=replace(MIXED.data, hold_out="0"))

    with pytest.raises(RecipeError, match="hold_out applies to a single data set; set it in `sources`"):
        train(recipe, paths, tmp_path)
