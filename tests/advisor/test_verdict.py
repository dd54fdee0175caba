"""The verdict on a made-up run."""

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from cgrseg.advisor import judge
from cgrseg.classes import named
from cgrseg.config import DataConfig, InferenceConfig, ModelConfig, Recipe, TrainConfig
from cgrseg.config.parsing import as_tree
from cgrseg.data.datasets import open_dataset
from cgrseg.model import build_model
from cgrseg.weights import WeightsInfo, save_weights

NAMES = ("sky", "road", "car")
RECIPE = Recipe(
    model=ModelConfig(size="s0", classes=3, layer_scale=0.1, rcm_scale=0.1),
    data=DataConfig(hold_out=("3", "4")),
    train=TrainConfig(steps=30, eval_every=10),
    inference=InferenceConfig(short_px=32),
)


def write_scores(run, scores: dict[int, float]) -> None:
    events = [{"event": "scored", "step": step, "miou": miou} for step, miou in scores.items()]
    (run / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


@pytest.fixture
def finished(tmp_path):
    """Five labelled and three unlabelled images, and the folder of a run with random weights."""
    data, run = tmp_path / "photos", tmp_path / "run"
    for folder in ("images/unlabelled", "annotations"):
        (data / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(8):
        image = rng.integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(image).save(data / "images" / ("unlabelled" if index > 4 else "") / f"{index}.png")
        if index < 5:
            Image.fromarray(rng.integers(0, 2, (32, 32), np.uint8)).save(data / "annotations" / f"{index}.png")
    (data / "classes.txt").write_text("\n".join(NAMES), encoding="utf-8")
    run.mkdir()
    torch.manual_seed(0)
    info = WeightsInfo(model=RECIPE.model, classes=named(NAMES), inference=RECIPE.inference, recipe=RECIPE, step=20)
    save_weights(run / "best.safetensors", build_model(RECIPE.model), info)
    (run / "recipe.yaml").write_text(yaml.safe_dump(as_tree(RECIPE)), encoding="utf-8")
    write_scores(run, {10: 0.2, 20: 0.3, 30: 0.295})
    return data, run


def test_a_verdict_has_scores_interval_and_advice(finished):
    data, run = finished

    verdict = judge(run, data)

    needs = {entry.name: entry.need for entry in verdict.classes}
    assert (verdict.split, verdict.learnt, verdict.scored, verdict.is_rough) == ("holdout", 3, 2, True)
    assert verdict.miou_interval[0] <= verdict.miou <= verdict.miou_interval[1]
    assert needs == {"sky": "rare", "road": "rare", "car": "unlearnt"}
    assert [entry.images for entry in verdict.classes] == [3, 3, 0]
    assert sum(entry.pixels for entry in verdict.classes) == 3 * 32 * 32
    assert {name for name, _ in verdict.worst} == {"3", "4"}
    assert {candidate.path.stem for candidate in verdict.ranking.candidates} == {"5", "6", "7"}
    assert (verdict.best_step, verdict.last_step, verdict.steps, verdict.looks) == (20, 30, 30, 3)


def test_held_out_images_that_the_initial_weights_were_trained_on_are_counted(finished, tmp_path):
    data, run = finished
    held = open_dataset("folder", data, "holdout", RECIPE.data.hold_out)
    info = WeightsInfo(model=RECIPE.model, classes=named(NAMES), trained_on=(*held.fingerprints()[:1], "another"))
    save_weights(tmp_path / "start.safetensors", build_model(RECIPE.model), info)

    def leaked(init: str) -> int:
        (run / "run.json").write_text(json.dumps({"starts": [{"init": init}]}), encoding="utf-8")
        return judge(run, data).leaked

    assert judge(run, data).leaked == 0
    assert leaked(str(tmp_path / "start.safetensors")) == 1
    assert leaked(str(tmp_path / "gone.safetensors")) == 0


def test_a_verdict_is_written_next_to_the_weights(finished):
    data, run = finished

    verdict = judge(run, data)

    tree = json.loads((run / "verdict.json").read_text(encoding="utf-8"))
    assert tree["miou"] == verdict.miou
    assert [entry["name"] for entry in tree["classes"]] == list(NAMES)
    assert len(tree["label_next"]["candidates"]) == 3
    assert tree["rules"]["few_pictures"] == 20


def test_unlabelled_images_may_be_in_another_folder(finished, tmp_path):
    data, run = finished
    (tmp_path / "more").mkdir()
    (data / "images/unlabelled/5.png").rename(tmp_path / "more/x.png")

    ranking = judge(run, data, unlabelled=tmp_path / "more").ranking

    assert [candidate.path.name for candidate in ranking.candidates] == ["x.png"]


def test_without_unlabelled_images_nothing_is_ranked(finished):
    data, run = finished
    for file in (data / "images/unlabelled").iterdir():
        file.unlink()
    (data / "images/unlabelled").rmdir()

    assert judge(run, data).ranking is None
    assert json.loads((run / "verdict.json").read_text(encoding="utf-8"))["label_next"] is None


@pytest.mark.parametrize(
    ("scores", "course"),
    [
        ({10: 0.2, 20: 0.5, 30: 0.4}, "overfitted"),
        ({10: 0.5, 20: 0.495}, "stopped"),
        ({10: 0.2, 20: 0.3, 30: 0.4}, "rising"),
        ({10: 0.2, 20: 0.4, 30: 0.402}, "level"),
        ({30: 0.4}, "once"),
    ],
)
def test_the_course_of_the_score(finished, scores, course):
    data, run = finished
    write_scores(run, scores)

    assert judge(run, data).course == course
