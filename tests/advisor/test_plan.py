"""A recipe made from images."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from cgrseg.advisor import plan
from cgrseg.config import ModelConfig
from cgrseg.data.datasets import open_dataset
from cgrseg.errors import CGRSegError, CheckpointError, DatasetError, RecipeError
from cgrseg.model import build_model
from cgrseg.weights import WeightsInfo, save_weights


@pytest.fixture
def photos(tmp_path):
    """Ten images of noise without splits; the third class is in one of them."""
    root = tmp_path / "photos"
    for part in ("images", "annotations"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(10):
        blocks = rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(blocks).save(root / "images" / f"{index}.png")
        labels = rng.integers(0, 2, (6, 8), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        labels[0, 0] = 2 if index == 0 else 0
        Image.fromarray(labels).save(root / "annotations" / f"{index}.png")
    (root / "classes.txt").write_text("sky\nroad\ncar\n", encoding="utf-8")
    return root


def with_val(root):
    """Move the first images to val."""
    for part in ("images", "annotations"):
        for index in range(10):
            split = "val" if index < 3 else "train"
            (root / part / split).mkdir(exist_ok=True)
            (root / part / f"{index}.png").rename(root / part / split / f"{index}.png")
    return root


def test_images_without_val_are_split_and_the_recipe_holds_the_names(photos):
    planned = plan("folder", photos)

    names = planned.recipe.data.hold_out
    held = open_dataset("folder", photos, "holdout", names)
    assert isinstance(names, tuple)
    assert (planned.facts.learnt, planned.facts.scored) == (7, 3)
    assert tuple(pair.name for pair in held.pairs) == names
    assert planned.facts.split.one_sided == ("car",)


def test_a_val_is_used_as_it_is(photos):
    planned = plan("folder", with_val(photos))

    assert planned.recipe.data.hold_out == ""
    assert (planned.facts.learnt, planned.facts.scored, planned.facts.split) == (7, 3, None)


def test_overrides_take_precedence_and_dependent_settings_follow(photos):
    planned = plan("folder", photos, overrides=("train.steps=200", "data.hold_out=['1']"))

    assert planned.recipe.train.steps == 200
    assert planned.recipe.train.eval_every == 20
    assert planned.recipe.data.hold_out == ("1",)
    assert planned.facts.scored == 1
    assert [str(choice) for choice in planned.choices if "train.steps" in choice.settings] == ["as you set"]


def test_a_merge_makes_the_classes_of_the_plan(photos):
    planned = plan("folder", photos, overrides=("data.merge={still: [sky, road], moving: [car]}",))

    assert planned.facts.classes == ("still", "moving")


def test_held_out_images_that_the_initial_weights_were_trained_on_are_reported(photos, tmp_path):
    held = open_dataset("folder", with_val(photos), "val")
    config = ModelConfig(size="s0", classes=3)
    info = WeightsInfo(model=config, classes=held.classes, trained_on=held.fingerprints()[:2])
    save_weights(tmp_path / "start.safetensors", build_model(config), info)

    planned = plan("folder", photos, init=tmp_path / "start.safetensors")

    assert planned.facts.leaked == 2
    assert "the initial weights were trained on 2 of these" in str(planned.choices[0])
    assert planned.recipe.model.size == "s0"


def test_without_imagenet_weights_the_plan_starts_from_scratch_and_says_so(photos, monkeypatch):
    def fail(size):
        raise CheckpointError(f"{size} is out of reach")

    monkeypatch.setattr(sys.modules[plan.__module__], "find_imagenet", fail)
    planned, chosen = plan("folder", photos), plan("folder", photos, overrides=("model.size=lite",))

    assert (planned.recipe.model.size, chosen.recipe.model.size) == ("t", "lite")
    assert planned.recipe.start.backbone is None
    assert "lite is out of reach" in str(planned.choices[1])


def test_a_backbone_set_to_none_is_from_scratch(photos):
    planned = plan("folder", photos, overrides=("start.backbone=",))

    assert (planned.recipe.start.backbone, planned.recipe.model.size, planned.recipe.train.freeze_stages) == (
        None,
        "t",
        0,
    )


@pytest.mark.parametrize(
    ("override", "error"),
    [("train.stps=2", RecipeError), ("data.hold_out=x", DatasetError), ("train.lr=a", RecipeError)],
)
def test_an_invalid_override_is_an_error(photos, override, error):
    with pytest.raises(error):
        plan("folder", photos, overrides=(override,))


def test_labels_that_would_spoil_the_run_are_an_error(photos):
    shutil.copy(photos / "images/0.png", photos / "annotations/0.png")

    with pytest.raises(CGRSegError, match="cgrseg data check"):
        plan("folder", photos)


def test_a_missing_device_is_an_error(photos):
    with pytest.raises(CGRSegError, match="cuda:99"):
        plan("folder", photos, device="cuda:99")
