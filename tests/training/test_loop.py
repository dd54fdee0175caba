import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from cgrseg.config import DataConfig, InferenceConfig, ModelConfig, Recipe, TrainConfig
from cgrseg.data.images import write_image, write_palette_png
from cgrseg.errors import TrainingError
from cgrseg.prediction import load
from cgrseg.recipes import parse_recipe
from cgrseg.training import loop, train
from cgrseg.training.log import Scored, Started, Stepped, Stopped
from cgrseg.weights import load_weights, read_info

RECIPE = Recipe(
    model=ModelConfig(size="s0", layer_scale=0.1, rcm_scale=0.1),
    data=DataConfig(kind="folder", fit_px=(48, 64), scale=(0.8, 1.2), crops_px=((32, 32), (32, 64)), workers=0),
    train=TrainConfig(
        steps=4, batch_size=2, lr=2e-3, warmup_steps=1, eval_every=2, groups="matrices", ema=0.5, clip_norm=1.0
    ),
    inference=InferenceConfig(short_px=48),
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder data set: dark left, bright right, and the labels say so."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for part in ("images", "annotations"):
            (folder / part / split).mkdir(parents=True)
        for index in range(count):
            border = int(rng.integers(16, 48))
            labels = (np.arange(64) >= border)[None].repeat(48, 0).astype(np.uint8)
            image = (60 + 140 * labels[..., None] + rng.integers(-20, 20, (48, 64, 3))).astype(np.uint8)
            write_image(folder / "images" / split / f"{index}.png", image)
            write_palette_png(folder / "annotations" / split / f"{index}.png", labels, ((0, 0, 0), (9, 9, 9)))
    (folder / "classes.txt").write_text("dark\nbright\n")
    return folder


def events(run) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_run_leaves_weights_log_and_recipe_and_tells_what_it_does(pictures, tmp_path):
    seen = []

    best = train(RECIPE, pictures, tmp_path / "run", watch=seen.append)

    info = read_info(best)
    assert sorted(path.name for path in best.parent.iterdir()) == [
        "best.safetensors",
        "last.safetensors",
        "log.jsonl",
        "recipe.yaml",
        "state.pt",
    ]
    assert [type(event) for event in seen] == [Started, Stepped, Stepped, Scored, Stepped, Stepped, Scored]
    assert [event["event"] for event in events(best.parent)][-1] == "scored"
    assert info.classes.names == ("dark", "bright")
    assert len(info.trained_on) == 6
    assert info.scores["val/miou"] == max(event.miou for event in seen if isinstance(event, Scored))
    assert info.recipe == parse_recipe(yaml.safe_load((best.parent / "recipe.yaml").read_text()), "recipe.yaml")


@pytest.mark.slow
def test_the_network_learns_and_the_weights_segment_a_picture(pictures, tmp_path):
    longer = replace(RECIPE, train=replace(RECIPE.train, steps=40, eval_every=40, ema=None))

    best = train(longer, pictures, tmp_path / "run")

    losses = [event["loss"] for event in events(tmp_path / "run") if event["event"] == "stepped"]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert read_info(best).scores["val/miou"] > 0.8
    assert load(best)(pictures / "images/val/0.png").labels.shape == (48, 64)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(workers, pictures, tmp_path):
    recipe = replace(RECIPE, data=replace(RECIPE.data, workers=workers))
    whole = train(recipe, pictures, tmp_path / "whole")

    def stop_at_three(event):
        if isinstance(event, Stepped) and event.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, pictures, tmp_path / "cut", watch=stop_at_three)
    train(recipe, pictures, tmp_path / "cut", resume=True)

    states = [torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("whole", "cut")]
    assert_same(*states)
    assert load_weights(whole)[1].step in (2, 4)


def assert_same(one: object, other: object) -> None:
    """Two trees of tensors and numbers, equal to the last bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_a_folder_with_a_run_is_not_overwritten(pictures, tmp_path):
    (tmp_path / "log.jsonl").write_text("{}\n")

    with pytest.raises(TrainingError, match="already holds a run; add --resume"):
        train(RECIPE, pictures, tmp_path)


def test_there_must_be_a_run_to_resume(pictures, tmp_path):
    with pytest.raises(TrainingError, match="holds no run to resume"):
        train(RECIPE, pictures, tmp_path / "nothing", resume=True)


def test_a_loss_that_is_not_finite_stops_with_step_and_names_and_overwrites_nothing(pictures, tmp_path):
    run = tmp_path / "run"
    wild = replace(RECIPE, train=replace(RECIPE.train, lr=1e30, warmup_steps=0, clip_norm=None, eval_every=1, steps=9))

    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d, on \d, \d; nothing was overwritten"):
        train(wild, pictures, run)

    written = [event["step"] for event in events(run) if event["event"] == "scored"]
    assert torch.load(run / "state.pt", weights_only=True)["step"] == written[-1]


def test_a_run_can_start_from_weights_with_other_classes(pictures, tmp_path):
    first = train(replace(RECIPE, train=replace(RECIPE.train, steps=2)), pictures, tmp_path / "first")
    other = shutil.copytree(pictures, tmp_path / "other")
    (other / "classes.txt").write_text("bright\ncar\n")
    seen = []

    train(RECIPE, other, tmp_path / "second", init=first, watch=seen.append)

    assert seen[0].drawn_anew == ("car",)


def stale_at(monkeypatch, scores: list[float]) -> None:
    """Makes the evaluations of a run give these scores, one after the other, for ever the last."""
    rest = iter(scores)
    real = loop.evaluate

    def evaluate(*arguments):
        answer = real(*arguments)
        return replace(answer, scores=replace(answer.scores, miou=next(rest, scores[-1])))

    monkeypatch.setattr(loop, "evaluate", evaluate)


PATIENT = replace(RECIPE, train=replace(RECIPE.train, steps=9, eval_every=1, patience=2, ema=None))


def test_a_run_ends_when_its_score_gets_no_better_and_keeps_the_best_weights(pictures, tmp_path, monkeypatch):
    stale_at(monkeypatch, [0.3, 0.5, 0.5, 0.4])
    seen = []

    best = train(PATIENT, pictures, tmp_path / "run", watch=seen.append)

    assert seen[-1] == Stopped(step=4, patience=2, best=0.5)
    assert read_info(best).step == 2


def test_a_better_score_makes_patience_begin_anew(pictures, tmp_path, monkeypatch):
    stale_at(monkeypatch, [0.3, 0.2, 0.4, 0.2, 0.5, 0.1])
    seen = []

    train(PATIENT, pictures, tmp_path / "run", watch=seen.append)

    assert seen[-1] == Stopped(step=7, patience=2, best=0.5)


def test_patience_survives_a_stop(pictures, tmp_path, monkeypatch):
    stale_at(monkeypatch, [0.5, 0.4])

    def stop_at_two(event):
        if isinstance(event, Scored) and event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(PATIENT, pictures, tmp_path / "run", watch=stop_at_two)
    for _ in range(2):  # the second finds the run ended, and does nothing
        train(PATIENT, pictures, tmp_path / "run", resume=True)

    assert [event["step"] for event in events(tmp_path / "run") if event["event"] == "scored"] == [1, 2, 3]
