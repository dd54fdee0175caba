import shlex

import pytest
import yaml

from cgrseg.config import DataConfig, InferenceConfig, ModelConfig, Recipe, TrainConfig
from cgrseg.config.parsing import as_tree, checked
from cgrseg.errors import RecipeError
from cgrseg.recipes import as_override, parse_recipe, read_recipe


def recipe_of(text: str, *overrides: str) -> Recipe:
    return parse_recipe(yaml.safe_load(text), "mine.yaml", overrides)


def test_a_recipe_holds_only_what_differs_from_the_defaults():
    recipe = recipe_of("model: {size: b, classes: 19}\ntrain: {lr: 1e-3}")

    assert recipe.model == ModelConfig(size="b", classes=19)
    assert recipe.train == TrainConfig(lr=0.001)
    assert (recipe.data, recipe.inference) == (DataConfig(), InferenceConfig())


def test_lists_become_tuples_and_null_switches_off():
    recipe = recipe_of("data: {crops_px: [[64, 96], [32, 32]], scale: [1, 2]}\ntrain: {ema: 0.9, clip_norm: null}")

    assert recipe.data.crops_px == ((64, 96), (32, 32))
    assert recipe.data.scale == (1.0, 2.0)
    assert (recipe.train.ema, recipe.train.clip_norm) == (0.9, None)


def test_what_is_held_out_is_a_beginning_of_names_or_a_list_of_them():
    listed = recipe_of("data: {hold_out: [a, '0016']}")

    assert recipe_of("data: {hold_out: '0016'}").data.hold_out == "0016"
    assert listed.data.hold_out == ("a", "0016")
    assert recipe_of(yaml.safe_dump(as_tree(listed))) == listed
    with pytest.raises(RecipeError, match="hold_out: 16 is not text"):
        recipe_of("data: {hold_out: 16}")


def test_settings_survive_the_way_through_yaml():
    recipe = recipe_of(
        "model: {preset: from_scratch}\n"
        "data: {crops_px: [[64, 96]], merge: {a: [b, 3], ignore: [c]}}\n"
        "train: {ema: 0.5}"
    )

    assert recipe.data.merge == {"a": ("b", 3), "ignore": ("c",)}
    assert recipe_of(yaml.safe_dump(as_tree(recipe))) == recipe


def test_a_preset_sets_what_the_recipe_leaves_open():
    model = recipe_of("model: {preset: from_scratch, rcm_scale: 0.5}").model

    assert (model.layer_scale, model.rcm_scale) == (0.1, 0.5)


def test_a_preset_leaves_out_what_says_nothing_to_a_network_without_attention():
    recipe = recipe_of("model: {preset: from_scratch}", "model.size=lite")

    assert recipe.model == ModelConfig(size="lite", rcm_scale=0.1)


@pytest.mark.parametrize(
    "setting", ["position: official", "trained_px: 224", "talk_bias: mean", "layer_scale: 0.1", "drop_path: 0.0"]
)
def test_settings_of_attention_are_refused_where_there_is_none(setting):
    name, _, value = setting.partition(": ")

    with pytest.raises(RecipeError, match=rf"model: {name}: '?{value}'? says nothing to size lite, which has neither"):
        recipe_of(f"model: {{size: lite, {setting}}}")
    assert recipe_of(f"model: {{size: s0, {setting}}}").model.size == "s0"


def test_a_start_can_be_taken_out_or_replaced_by_an_override():
    text = "start: {backbone: owner/name.tag, attention_tables: zero}"

    without, other = recipe_of(text, "start.backbone=").start, recipe_of(text, "start.backbone=a file.pth").start

    assert (without.backbone, without.attention_tables) == (None, "zero")
    assert (other.backbone, other.sha256) == ("a file.pth", None)


def test_overrides_win_over_the_file():
    recipe = recipe_of("train: {steps: 10, lr: 0.1}", "train.steps=20", "data.kind=camvid", "train.ema=null")

    assert (recipe.train.steps, recipe.train.lr, recipe.data.kind, recipe.train.ema) == (20, 0.1, "camvid", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train: {batch_sise: 4}", r"mine.yaml: train: unknown key 'batch_sise'; did you mean 'batch_size'\?"),
        ("trian: {}", r"mine.yaml: unknown key 'trian'; did you mean 'train'\?"),
        ("model: {zzz: 1}", "unknown key 'zzz'; the keys are size, classes"),
        ("train: {steps: many}", "mine.yaml: train: steps: 'many' is not a whole number"),
        ("train: {steps: 1.5}", "train: steps: 1.5 is not a whole number"),
        ("train: {steps: true}", "train: steps: True is not a whole number"),
        ("train: {lr: fast}", "train: lr: 'fast' is not a number"),
        ("model: {size: x}", "model: size: 'x' is not one of 's0', 't', 'b', 'l', 'lite'"),
        ("model: {preset: tiny}", "preset: 'tiny' is not one of paper, from_scratch"),
        ("data: {flip: yes}", "data: flip: True is not a number"),
        ("data: {merge: [a]}", r"data: merge: \['a'\] is not a mapping"),
        ("data: {merge: {a: b}}", "data: merge: a: 'b' is not a list"),
        ("data: {merge: {a: []}}", "data: merge: a: .* some are needed"),
        ("data: {merge: {a: [yes]}}", "data: merge: a: True is not text"),
        ("data: {merge: {a: [null]}}", "data: merge: a: None is not text"),
        ("data: {merge: {1: [a]}}", "data: merge: 1 is not text"),
        ("data: {scale: [1]}", r"data: scale: \[1\] has 1 entries where 2 are needed"),
        ("data: {crops_px: []}", r"data: crops_px: \[\] has 0 entries where some are needed"),
        ("data: {crops_px: 64}", "data: crops_px: 64 is not a list"),
        ("train: {steps: 0}", "train: steps: 0 is out of range; it is at least 1"),
        ("train: {freeze_stages: 8}", "train: freeze_stages: 8 is out of range; it is 0 to 7"),
        ("train: {ema: 1.5}", "train: ema: 1.5 is out of range; it is 0 to 1"),
        ("train: {lr: .nan}", "train: lr: nan is out of range"),
        ("data: {crops_px: [[0, 32]]}", "data: crops_px: 0 is out of range; it is at least 1"),
        ("model: {classes: 300}", "model: classes: 300 is out of range; it is 1 to 254"),
        ("model: {trained_px: 100}", "model: trained_px: 100 is out of range; it is at least 32, a multiple of 32"),
        ("train: 7", "mine.yaml: train: a mapping is needed here, not 7"),
        ("- 1", "mine.yaml: a recipe is a mapping with the keys model, start, data, sources, train, inference"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_sentence_with_the_way_out(text, sentence):
    with pytest.raises(RecipeError, match=sentence):
        recipe_of(text)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("steps=1", "'steps=1' is not an override; write section.key=value"),
        ("train.steps", "'train.steps' is not an override; write section.key=value"),
        ("train.steps=[1", r"train.steps=\[1: not a YAML value"),
        ("train.stps=1", "unknown key 'stps'; did you mean 'steps'"),
    ],
)
def test_a_mistake_in_an_override_is_one_sentence(override, sentence):
    with pytest.raises(RecipeError, match=sentence):
        recipe_of("{}", override)


def test_a_file_that_is_missing_or_not_yaml_is_named(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [")

    with pytest.raises(RecipeError, match=r"broken.yaml: not a YAML file"):
        read_recipe(broken)
    with pytest.raises(RecipeError, match="no such recipe; those that ship are in the folder recipes/"):
        read_recipe(tmp_path / "none.yaml")


def test_settings_made_in_python_are_checked_like_a_recipe():
    with pytest.raises(RecipeError, match="ModelConfig: classes: 0 is out of range"):
        checked(ModelConfig(classes=0))

    assert checked(Recipe()) == Recipe()


@pytest.mark.parametrize("value", ["0006R0_f", "12_", "null", "a b", "it's", 'say "x"', "1: 2", "x" * 200])
def test_a_suggested_override_sets_the_value(value):
    (override,) = shlex.split(as_override("data.hold_out", value))

    assert recipe_of("{}", override).data.hold_out == value
