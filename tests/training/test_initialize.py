"""Runs that start from a backbone: initial weights, what is recorded of them, and the checks of a resumed run."""

import hashlib
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cgrseg.config import DataConfig, InferenceConfig, ModelConfig, Recipe, StartConfig, TrainConfig
from cgrseg.errors import CheckpointError, RecipeError, TrainingError
from cgrseg.model import build_model
from cgrseg.recipes import read_recipe
from cgrseg.training import train
from cgrseg.training.events import Started
from cgrseg.training.initialize import freeze_stages
from cgrseg.weights import fill_backbone, load_weights, read_backbone, read_info

RECIPE = Recipe(
    model=ModelConfig(size="s0", trained_px=224),
    data=DataConfig(kind="folder", fit_px=(32, 64), scale=(1.0, 1.0), crops_px=((32, 32),), workers=0),
    train=TrainConfig(steps=1, batch_size=2, lr=0.0, warmup_steps=0, eval_every=1),
    inference=InferenceConfig(short_px=32),
)
SCALE = "backbone.stages.0.0.mlp.1.factor"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder data set of two classes."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "val"):
        for part in ("images", "annotations"):
            (folder / part / split).mkdir(parents=True)
        for index in range(2):
            labels = (np.arange(32) > 12 + index)[None].repeat(32, 0).astype(np.uint8)
            Image.fromarray(labels).save(folder / "annotations" / split / f"{index}.png")
            Image.fromarray(np.repeat(labels[..., None] * 90, 3, 2)).save(folder / "images" / split / f"{index}.png")
    (folder / "classes.txt").write_text("left\nright\n")
    return folder


@pytest.fixture(scope="module")
def recipe(imagenet_s0):
    return replace(RECIPE, start=StartConfig(backbone=str(imagenet_s0)))


@pytest.fixture(scope="module")
def run(recipe, images, tmp_path_factory):
    """A run of one step at a learning rate of zero, which keeps its initial weights."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    train(recipe, images, folder)
    return folder


def test_the_network_starts_with_the_weights_of_the_file(run, imagenet_s0):
    from safetensors.torch import load_file

    given = load_file(imagenet_s0)
    weights = load_weights(run / "last.safetensors")[0].state_dict()

    assert torch.equal(weights[SCALE].flatten(), given["stages.0.blocks.0.ls2.gamma"])
    assert torch.equal(weights["backbone.stem.2.conv.weight"], given["stem.conv2.conv.weight"])
    assert weights["reconstruct.rcms.0.scale.factor"].unique().tolist() == pytest.approx([RECIPE.model.rcm_scale])


def test_log_recipe_and_weights_name_the_file_and_its_digest(run, imagenet_s0):
    digest = hashlib.sha256(imagenet_s0.read_bytes()).hexdigest()
    expected = StartConfig(backbone=str(imagenet_s0), sha256=digest)

    started = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])

    assert StartConfig(**started["start"]) == expected
    assert read_recipe(run / "recipe.yaml").start == expected
    assert read_info(run / "last.safetensors").recipe.start == expected


def test_repeating_a_run_from_its_own_recipe_takes_the_same_file_only(run, images, tmp_path, imagenet_s0):
    changed = tmp_path / "changed.safetensors"
    changed.write_bytes(imagenet_s0.read_bytes()[:-1] + b"?")
    again = read_recipe(run / "recipe.yaml", (f"start.backbone={changed}",))

    with pytest.raises(CheckpointError, match="it is not the file that the recipe was run with"):
        train(again, images, tmp_path / "again")

    assert not (tmp_path / "again").exists()


@pytest.mark.slow
def test_a_resumed_run_does_not_need_the_file_of_the_backbone(images, tmp_path, imagenet_s0):
    file = tmp_path / "moved.safetensors"
    file.write_bytes(imagenet_s0.read_bytes())
    recipe = replace(RECIPE, start=StartConfig(backbone=str(file)))
    train(recipe, images, tmp_path / "run")
    file.unlink()
    longer = replace(recipe, train=replace(recipe.train, steps=2))

    train(longer, images, tmp_path / "run", resume="changed")

    assert read_info(tmp_path / "run/last.safetensors").recipe.start.sha256
    assert read_info(tmp_path / "run/last.safetensors").step == 2


@pytest.mark.parametrize(
    ("start", "sentence"),
    [
        ({"backbone": None}, "it cannot be resumed with no start.backbone"),
        ({"backbone": "other.pth"}, "cannot be resumed with start.backbone other.pth"),
        ({"attention_tables": "zero"}, "cannot be resumed with .*zero tables"),
        ({"sha256": "abc"}, "cannot be resumed with .*SHA-256 abc"),
    ],
)
def test_a_run_is_not_resumed_with_another_start(start, sentence, run, recipe, images):
    other = replace(recipe, start=replace(recipe.start, **start))

    with pytest.raises(TrainingError, match=sentence):
        train(other, images, run, resume="changed")


@pytest.mark.slow
def test_weights_of_a_whole_network_take_precedence_and_that_is_logged(run, recipe, images, tmp_path, caplog):
    seen = []

    with caplog.at_level(logging.INFO, logger="cgrseg"):
        best = train(
            replace(recipe, start=StartConfig(backbone="not/there")),
            images,
            tmp_path / "second",
            init=run / "last.safetensors",
            watch=seen.append,
        )

    assert "holds the whole network, so start.backbone (not/there) is ignored" in caplog.text
    assert isinstance(seen[0], Started)
    assert seen[0].start == read_info(best).recipe.start == StartConfig()
    assert torch.equal(
        load_weights(best)[0].state_dict()[SCALE], load_weights(run / "last.safetensors")[0].state_dict()[SCALE]
    )


def lite(imagenet_lite, **settings: float) -> Recipe:
    """A run of two steps from a backbone of size lite."""
    steps = {"steps": 2, "eval_every": 2, "lr": 1e-2, **settings}
    start = StartConfig(backbone=str(imagenet_lite))
    return replace(RECIPE, model=ModelConfig(size="lite"), start=start, train=replace(RECIPE.train, **steps))


@pytest.mark.slow
def test_frozen_stages_keep_weights_and_statistics_while_the_others_learn(images, tmp_path, imagenet_lite):
    before = build_model(ModelConfig(size="lite")).backbone
    fill_backbone(before, read_backbone(imagenet_lite), "resampled")

    train(lite(imagenet_lite, freeze_stages=2), images, tmp_path / "run")

    after = load_weights(tmp_path / "run/last.safetensors")[0].backbone.state_dict()
    moved = {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, after[name])}
    assert moved == {name for name in after if not name.startswith(("stem.", "stages.0.", "stages.1."))}


def test_random_weights_are_not_frozen():
    recipe = replace(RECIPE, model=ModelConfig(size="lite"), train=replace(RECIPE.train, freeze_stages=2))

    with pytest.raises(RecipeError, match=r"train.freeze_stages=2 would keep random weights; start from weights"):
        freeze_stages(build_model(recipe.model), recipe, init=None)


def test_more_stages_than_there_are_cannot_be_frozen(recipe):
    requested = replace(recipe, train=replace(recipe.train, freeze_stages=5))

    with pytest.raises(RecipeError, match=r"train.freeze_stages is 5, but the backbone of size s0 has 4 stages"):
        freeze_stages(build_model(requested.model), requested, init=None)


def test_freezing_stages_of_the_papers_backbone_takes_the_embeddings_between_them_along(recipe):
    requested = replace(recipe, train=replace(recipe.train, freeze_stages=2))
    network = build_model(requested.model)

    freeze_stages(network, requested, init=None)

    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    parts = tuple(f"backbone.{part}." for part in ("stem", "stages.0", "stages.1", "embeddings.0"))
    assert frozen == {name for name, _ in network.named_parameters() if name.startswith(parts)}
