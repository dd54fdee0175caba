"""Every rule of a plan, on made-up facts."""

from dataclasses import replace

import pytest

from cgrseg.advisor import rules
from cgrseg.advisor.rules import RULES, Choice, Facts
from cgrseg.classes import named
from cgrseg.config import InferenceConfig, ModelConfig, Recipe, StartConfig, TrainConfig
from cgrseg.data.split import Split
from cgrseg.weights import WeightsInfo

START = WeightsInfo(
    model=ModelConfig(size="b", classes=2), classes=named(("sky", "road")), inference=InferenceConfig(short_px=504)
)
FACTS = Facts(
    learnt=160,
    scored=40,
    split=None,
    hold_out="",
    leaked=0,
    sides=(480, 640),
    portrait=0.0,
    classes=("sky", "grass"),
    shares=(0.9, 0.1),
    start=None,
    is_cpu=True,
    cores=2,
    bf16_is_faster=False,
)
FROM_WEIGHTS = replace(FACTS, start=("street", START))


def chosen(rule, facts: Facts = FACTS, recipe: Recipe | None = None) -> dict:
    return dict(rule(facts, recipe or Recipe()).settings)


def test_every_rule_gives_a_reason():
    assert all(rule(facts, Recipe()).reason for rule in RULES for facts in (FACTS, FROM_WEIGHTS))


def test_the_default_start_is_imagenet_with_frozen_first_stages():
    start = chosen(rules.choose_start)
    recipe = replace(Recipe(), start=StartConfig(backbone="imagenet"))

    assert start == {"model.size": "lite", "model.rcm_scale": 0.1, "start.backbone": "imagenet"}
    assert chosen(rules.choose_backbone_training, recipe=recipe)["train.freeze_stages"] == 2
    assert chosen(rules.choose_rate, recipe=recipe)["train.lr"] == 8e-4


def test_without_imagenet_weights_the_plan_says_why_and_what_it_costs():
    choice = rules.choose_start(replace(FACTS, size="t", no_imagenet="the hub is out of reach"), Recipe())

    assert choice.reason.startswith("from scratch, at a high price")
    assert choice.reason.endswith(": the hub is out of reach")


def test_from_scratch_the_scales_are_larger_and_attention_suits_larger_images():
    scales = {"model.layer_scale": 0.1, "model.rcm_scale": 0.1}
    t, lite = (replace(FACTS, size=size, no_imagenet="none") for size in ("t", "lite"))

    assert chosen(rules.choose_start, t) == {"model.size": "t", **scales, "model.talk_bias": "mean"}
    assert chosen(rules.choose_start, lite) == {"model.size": "lite", "model.rcm_scale": 0.1}
    assert chosen(rules.choose_backbone_training, t)["train.freeze_stages"] == 0


def test_from_weights_the_plan_uses_their_network_and_names_the_classes_it_keeps():
    choice = rules.choose_start(FROM_WEIGHTS, Recipe())

    assert choice.settings["model.size"] == "b"
    assert "model.classes" not in choice.settings
    assert choice.reason == "starts from street: keeps its classifier for sky"


@pytest.mark.parametrize(
    ("facts", "side"),
    [
        (FACTS, 384),
        (replace(FACTS, is_cpu=False), 512),
        (replace(FROM_WEIGHTS, is_cpu=False), 512),
        (replace(FACTS, sides=(3000, 4000)), 384),
        (replace(FACTS, sides=(100, 150)), 128),
        (replace(FACTS, sides=(20, 20)), 32),
    ],
)
def test_image_size_is_bounded_by_device_and_enlargement(facts, side):
    settings = chosen(rules.choose_size, facts)

    assert settings["data.fit_px"] == [side, 2048]
    assert settings["inference.short_px"] == side


@pytest.mark.parametrize(
    ("portrait", "crops"),
    [
        (0.0, [[256, 352], [384, 512]]),
        (1.0, [[352, 256], [512, 384]]),
        (0.5, [[288, 288], [448, 448]]),
    ],
)
def test_crops_have_the_shape_of_the_images(portrait, crops):
    fitted = replace(Recipe(), data=replace(Recipe().data, fit_px=(384, 2048)))

    assert chosen(rules.choose_crops, replace(FACTS, portrait=portrait), fitted) == {"data.crops_px": crops}


@pytest.mark.parametrize(
    ("facts", "steps"),
    [
        (FACTS, 2400),
        (FROM_WEIGHTS, 800),
        (replace(FROM_WEIGHTS, learnt=14), 400),
        (replace(FROM_WEIGHTS, learnt=1600), 4000),
        (replace(FACTS, learnt=14), 1200),
        (replace(FACTS, learnt=1600), 8000),
    ],
)
def test_steps_grow_with_the_images_within_bounds(facts, steps):
    recipe = replace(Recipe(), train=TrainConfig(batch_size=4))

    assert chosen(rules.choose_steps, facts, recipe) == {"train.steps": steps}


def test_a_batch_is_never_larger_than_the_data():
    assert chosen(rules.choose_batch, replace(FACTS, learnt=3))["train.batch_size"] == 3


def test_the_rate_is_lower_from_weights():
    assert chosen(rules.choose_rate, FROM_WEIGHTS)["train.lr"] < chosen(rules.choose_rate)["train.lr"]


@pytest.mark.parametrize(("shares", "weights"), [((0.9, 0.1), "log"), ((0.6, 0.4), "none"), ((0.5, 0.5, 0.0), "none")])
def test_unbalanced_classes_are_weighted(shares, weights):
    assert chosen(rules.choose_class_weights, replace(FACTS, shares=shares)) == {"train.class_weights": weights}


@pytest.mark.parametrize(("steps", "decay", "every"), [(2, 0.5, 1), (800, 0.9875, 80), (80_000, 0.999, 8000)])
def test_average_and_evaluations_follow_the_length_of_the_run(steps, decay, every):
    recipe = replace(Recipe(), train=TrainConfig(steps=steps))

    assert chosen(rules.choose_average, recipe=recipe) == {"train.ema": decay}
    assert chosen(rules.choose_evaluation, recipe=recipe) == {"train.eval_every": every, "train.patience": 4}


def test_frames_of_videos_are_reported_with_the_override_that_holds_one_out():
    split = Split(names=("a",), scenes=9, one_sided=(), videos=("12_", "7_"))

    reason = rules.choose_split(replace(FACTS, split=split, hold_out=("a",)), Recipe()).reason

    assert reason.endswith("hold out a whole one of the 2, as in 'data.hold_out='\"'\"'12_'\"'\"''")


def test_frames_whose_names_do_not_separate_videos_should_be_put_into_val():
    split = Split(names=("a",), scenes=9, one_sided=(), videos=())

    reason = rules.choose_split(replace(FACTS, split=split, hold_out=("a",)), Recipe()).reason

    assert "put another video, or the last part of this one, into images/val" in reason


def test_precision_is_as_measured():
    assert chosen(rules.choose_precision) == {"train.precision": "fp32"}
    assert chosen(rules.choose_precision, replace(FACTS, bf16_is_faster=True)) == {"train.precision": "bf16"}


def test_settings_of_the_user_replace_the_reason():
    choice = Choice({"train.lr": 1.0, "train.weight_decay": 0.1}, "why", frozenset({"train.lr"}))

    assert str(choice) == "why; train.lr as you set"
    assert str(replace(choice, given=frozenset(choice.settings))) == "as you set"
