import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from support.tiny import RECIPE, events

from cgrseg.errors import RecipeError, RunStopped, TrainingError
from cgrseg.predictor import load
from cgrseg.recipes import parse_recipe
from cgrseg.training import loop, train
from cgrseg.training.events import Evaluated, Scored, Scoring, Started, Stepped, Stopped
from cgrseg.weights import read_info


def test_a_run_writes_weights_log_and_recipe_and_reports_its_events(images, tmp_path):
    seen = []

    best = train(RECIPE, images, tmp_path / "run", watch=seen.append)

    info = read_info(best)
    assert sorted(path.name for path in best.parent.iterdir() if path.name != ".lock") == [
        "best.safetensors",
        "curves.png",
        "last.safetensors",
        "metrics.csv",
        "metrics.jsonl",
        "recipe.yaml",
        "run.json",
        "states",
    ]
    round_of_two = [Stepped, Stepped, Scoring, Scoring, Evaluated, Scored]
    assert [type(event) for event in seen] == [Started, *round_of_two, *round_of_two]
    assert [event["event"] for event in events(best.parent)][-1] == "scored"
    assert info.classes.names == ("dark", "bright")
    assert len(info.trained_on) == 6
    assert info.scores["val/miou"] == max(event.miou for event in seen if isinstance(event, Scored))
    assert info.recipe == parse_recipe(yaml.safe_load((best.parent / "recipe.yaml").read_text()), "recipe.yaml")


@pytest.mark.slow
def test_the_network_learns_and_its_weights_segment_an_image(images, tmp_path):
    longer = replace(RECIPE, train=replace(RECIPE.train, steps=40, eval_every=40, ema=None))

    best = train(longer, images, tmp_path / "run")

    losses = [event["loss"] for event in events(tmp_path / "run") if event["event"] == "stepped"]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert read_info(best).scores["val/miou"] > 0.8
    assert load(best)(images / "images/val/0.png").labels.shape == (48, 64)


def test_a_folder_with_a_run_is_not_overwritten(images, tmp_path):
    (tmp_path / "best.safetensors").write_bytes(b"")

    with pytest.raises(TrainingError, match="already holds a run; resume it"):
        train(RECIPE, images, tmp_path)


@pytest.mark.parametrize(
    ("eval_every", "message"),
    [
        (9, r"the loss is (nan|inf) at step \d, on \d, \d; nothing was overwritten"),
        (1, "the output of the network holds NaN or infinity after step 1; nothing was overwritten"),
    ],
)
def test_what_is_not_finite_stops_with_its_step_and_overwrites_nothing(images, tmp_path, eval_every, message):
    run = tmp_path / "run"
    settings = {"lr": 1e30, "warmup_steps": 0, "clip_norm": None, "eval_every": eval_every, "steps": 9}

    with pytest.raises(TrainingError, match=message):
        train(replace(RECIPE, train=replace(RECIPE.train, **settings)), images, run)

    assert not list(run.glob("*.safetensors"))
    assert not [event for event in events(run) if event["event"] == "scored"]


def test_a_run_can_start_from_weights_with_other_classes(images, tmp_path):
    first = train(replace(RECIPE, train=replace(RECIPE.train, steps=2)), images, tmp_path / "first")
    other = shutil.copytree(images, tmp_path / "other")
    (other / "classes.txt").write_text("bright\ncar\n")
    seen = []

    train(RECIPE, other, tmp_path / "second", init=first, watch=seen.append)

    assert seen[0].drawn_anew == ("car",)


def test_weights_trained_with_another_talk_bias_give_a_warning(images, tmp_path, caplog):
    first = train(replace(RECIPE, train=replace(RECIPE.train, steps=2)), images, tmp_path / "first")
    mean = replace(RECIPE, model=replace(RECIPE.model, talk_bias="mean"))

    train(mean, images, tmp_path / "second", init=first)

    assert "was trained with model.talk_bias=sum but the recipe has mean; model.talk_bias=sum keeps" in caplog.text


def fake_scores(monkeypatch, scores: list[float]) -> None:
    """Make the evaluations of a run return these scores in order, then the last one forever."""
    remaining = iter(scores)
    real = loop.evaluate_distributed

    def evaluate(*arguments):
        evaluation = real(*arguments)
        return replace(evaluation, scores=replace(evaluation.scores, miou=next(remaining, scores[-1])))

    monkeypatch.setattr(loop, "evaluate_distributed", evaluate)


EARLY_STOPPING = replace(RECIPE, train=replace(RECIPE.train, steps=9, eval_every=1, patience=2, ema=None))


def test_a_run_stops_early_when_its_score_stops_improving_and_keeps_the_best_weights(images, tmp_path, monkeypatch):
    fake_scores(monkeypatch, [0.3, 0.5, 0.5, 0.4])
    seen = []

    best = train(EARLY_STOPPING, images, tmp_path / "run", watch=seen.append)

    assert seen[-1] == Stopped(step=4, patience=2, best=0.5)
    assert read_info(best).step == 2


def test_a_better_score_resets_early_stopping(images, tmp_path, monkeypatch):
    fake_scores(monkeypatch, [0.3, 0.2, 0.4, 0.2, 0.5, 0.1])
    seen = []

    train(EARLY_STOPPING, images, tmp_path / "run", watch=seen.append)

    assert seen[-1] == Stopped(step=7, patience=2, best=0.5)


def test_early_stopping_survives_a_resumption(images, tmp_path, monkeypatch):
    fake_scores(monkeypatch, [0.5, 0.4])

    with pytest.raises(RunStopped):
        train(
            EARLY_STOPPING, images, tmp_path / "run", watch=lambda event: isinstance(event, Scored) and event.step == 2
        )
    for _ in range(2):  # the second time there is nothing left to do
        train(EARLY_STOPPING, images, tmp_path / "run", resume=True)

    assert [event["step"] for event in events(tmp_path / "run") if event["event"] == "scored"] == [1, 2, 3]


def test_a_single_image_too_small_for_batch_norm_is_an_error(images, tmp_path):
    small = replace(RECIPE, data=replace(RECIPE.data, crops_px=((96, 64), (64, 64))))
    small = replace(small, train=replace(small.train, batch_size=2, accumulate=2))

    with pytest.raises(RecipeError, match=r"crops_px \[64, 64\] is too small for one image at a time"):
        train(small, images, tmp_path / "run")

    wide = replace(small, data=replace(small.data, crops_px=((96, 64),)), train=replace(small.train, steps=1))
    assert train(wide, images, tmp_path / "run").is_file()
