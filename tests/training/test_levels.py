"""Black and white from the images to the weights: a set of 12 bits trains and is segmented like the one of 8 bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from support.served import save_tiny
from support.tiny import RECIPE, draw_images, numbers

import cgrseg
from cgrseg.advisor import plan, plan_sources
from cgrseg.config import DataConfig, Recipe, SourceConfig
from cgrseg.data.loader import Share, training_batches
from cgrseg.errors import RecipeError
from cgrseg.predictor import Segmenter
from cgrseg.training import train
from cgrseg.training.loop import levels_of
from cgrseg.training.splits import open_splits
from cgrseg.weights import read_info

LEVELS = (0.0, 4095.0)
DEEP = replace(RECIPE, data=replace(RECIPE.data, levels=LEVELS))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A data set of gray images of 8 bits, and the same in 12 bits."""
    shallow, deep = (draw_images(tmp_path_factory.mktemp(name)) for name in ("shallow", "deep"))
    for file in shallow.glob("images/*/*.png"):
        gray = np.array(Image.open(file))[..., 0]
        Image.fromarray(gray).save(file)
        values = np.rint(gray.astype(float) * LEVELS[1] / 255).astype(np.uint16)
        Image.fromarray(values).save(deep / file.relative_to(shallow))
    return shallow, deep


@pytest.fixture(scope="module")
def run(both, tmp_path_factory):
    """A run on 12 bits."""
    folder = tmp_path_factory.mktemp("run")
    train(DEEP, both[1], folder)
    return folder


def batches(recipe, folder):
    images, _ = open_splits(recipe, folder)
    return list(training_batches(images, recipe.data, Share(batch_size=2, seed=0, steps=range(3))))


def test_12_bits_by_their_levels_give_the_batches_of_8_bits(both):
    for one, other in zip(batches(RECIPE, both[0]), batches(DEEP, both[1]), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_the_plan_takes_the_levels_from_the_images_and_says_why(both):
    planned = plan("folder", both[1])

    (choice,) = [choice for choice in planned.choices if "data.levels" in choice.settings]
    assert planned.recipe.data.levels == LEVELS
    assert "as of 12 bits" in str(choice)
    assert plan("folder", both[0]).recipe.data.levels is None
    assert plan("folder", both[1], overrides=("data.levels=[0,1023]",)).recipe.data.levels == (0.0, 1023.0)


def test_each_source_of_a_plan_has_its_own_levels(both):
    planned = plan_sources([("folder", both[0]), ("folder", both[1])])

    first, second = planned.recipe.sources.values()
    assert (first.levels, second.levels) == (None, LEVELS)
    assert levels_of(planned.recipe) == LEVELS


def test_sources_of_different_levels_leave_weights_without(both):
    sources = {name: SourceConfig(levels=levels) for name, levels in (("a", LEVELS), ("b", (0.0, 1023.0)))}

    assert levels_of(Recipe(sources=sources)) is None
    with pytest.raises(RecipeError, match=r"data\.levels applies to a single data set"):
        open_splits(Recipe(data=DataConfig(levels=LEVELS), sources=sources), {"a": both[0], "b": both[1]})


def test_weights_keep_the_levels_and_every_way_to_segment_applies_them(run, both):
    segmenter = cgrseg.load(run / "best.safetensors", engine="torch")
    shallow, deep = (folder / "images" / "val" / "0.png" for folder in both)

    (streamed,) = segmenter.stream(deep)

    assert read_info(run / "best.safetensors").levels == LEVELS
    assert np.array_equal(segmenter(deep).labels, segmenter(shallow).labels)
    assert np.array_equal(segmenter(Image.open(deep)).image, segmenter(shallow).image)
    assert np.array_equal(streamed.image, segmenter(shallow).image)


def test_a_data_set_is_scored_by_the_levels_of_the_weights(run, both):
    segmenter = cgrseg.load(run / "best.safetensors", engine="torch")

    mious = [cgrseg.evaluate(segmenter, cgrseg.open_dataset("folder", folder, "val")).scores.miou for folder in both]

    assert mious[0] == mious[1]


def test_a_resumed_run_keeps_its_levels(run, both, tmp_path):
    steps = []

    def stop(event):
        steps.append(event)
        return getattr(event, "step", 0) == 2

    with pytest.raises(cgrseg.RunStopped):
        train(DEEP, both[1], tmp_path, watch=stop)
    train(DEEP, both[1], tmp_path, resume=True)

    assert numbers(tmp_path) == numbers(run)
    assert read_info(tmp_path / "last.safetensors").levels == LEVELS


def test_weights_without_levels_can_be_given_some(both, tmp_path):
    old = cgrseg.load(save_tiny(tmp_path / "old.safetensors"), engine="torch")
    deep = both[1] / "images" / "val" / "0.png"

    given = old.with_levels(LEVELS)

    assert old.info.levels is None
    assert isinstance(given, Segmenter)
    assert old(deep).image.max() < 20
    assert given(deep).image.max() > 150
    assert old.with_levels(None) is old
    with pytest.raises(RecipeError, match="0 is not above 4095"):
        old.with_levels(LEVELS[::-1])
