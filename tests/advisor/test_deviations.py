"""The comparison with what was published."""

from dataclasses import fields
from typing import get_args

import pytest

from cgrseg.advisor.deviations import (
    ALWAYS,
    DROP_PATH,
    INDIFFERENT,
    OTHER_NETWORKS,
    PUBLISHED,
    REMARKS,
    compare_with_published,
)
from cgrseg.config import ModelSize, Recipe
from cgrseg.model.variants import DROP_PATHS
from cgrseg.recipes import parse_recipe

PAPER = {
    "model": {"position": "official"},
    "start": {"backbone": "timm/efficientformerv2_s1.snap_dist_in1k", "attention_tables": "zero"},
    "data": {"kind": "ade20k"},
}


def differences(*overrides: str) -> list[str]:
    return [str(deviation) for deviation in compare_with_published(parse_recipe(PAPER, "paper", overrides)).settings]


@pytest.mark.parametrize("size", ["t", "b", "l"])
def test_the_published_settings_have_no_deviations(size):
    assert differences(f"model.size={size}") == []


def test_differences_that_no_setting_removes_are_always_listed():
    names = {deviation.name for deviation in compare_with_published(Recipe()).always}

    assert names == {"loss", "data order", "label map"}
    assert all(deviation.value != deviation.published for deviation in ALWAYS)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.position=offsets", "model.position: offsets instead of official; equal in training on squares"),
        ("model.talk_bias=mean", "model.talk_bias: mean instead of sum; attention adds the same on images"),
        ("model.preset=from_scratch", "model.talk_bias: mean instead of sum; attention adds the same on images"),
        ("model.rcm_scale=0.1", "model.rcm_scale: 0.1 instead of 1e-06; a larger initial value"),
        (
            "start.backbone=",
            "start.backbone: none (random weights, or given ones) instead of a backbone",
        ),
        ("start.attention_tables=resampled", "start.attention_tables: resampled instead of zero; the paper's network"),
        ("data.crops_px=[[256, 320], [64, 64]]", "data.crops_px: [[256, 320], [64, 64]] instead of [[512, 512]]"),
        ("data.photometric=false", "data.photometric: false instead of true"),
        ("data.merge={a: [wall, 3]}", "data.merge: {a: [wall, 3]} instead of none; other classes"),
        ("data.hold_out=ADE_train_1", "data.hold_out: ADE_train_1 instead of none; images of train"),
        ("train.steps=1000", "train.steps: 1000 instead of 160000"),
        ("train.clip_norm=1", "train.clip_norm: 1 instead of none"),
        ("train.ema=0.999", "train.ema: 0.999 instead of none; a moving average"),
        ("train.precision=bf16", "train.precision: bf16 instead of fp32"),
        ("train.class_weights=log", "train.class_weights: log instead of none"),
        ("inference.short_px=640", "inference.short_px: 640 instead of 512"),
        ("model.drop_path=0.1", "model.drop_path: 0.1 instead of 0"),
        ("model.size=s0", "model.size: s0 instead of t, b or l; the paper has no network with this backbone"),
        ("data.kind=camvid", "data.kind: camvid instead of ade20k, cocostuff10k, pascalcontext59 or cityscapes; comp"),
    ],
)
def test_every_other_setting_is_listed_with_both_values(override, sentence):
    first, *_ = differences(override)

    assert first.startswith(sentence)


def test_a_network_without_attention_lists_its_backbone_and_no_setting_of_attention():
    lite = {"model": {"size": "lite"}, "start": {"backbone": "imagenet"}}

    given, plain, helped = (
        [str(deviation) for deviation in compare_with_published(parse_recipe(lite, "lite", overrides)).settings]
        for overrides in (("data.kind=ade20k",), ("start.backbone=",), ("start.backbone=", "model.preset=from_scratch"))
    )

    (only,) = given
    assert only.startswith("model.size: lite instead of t, b or l; its backbone is EfficientNet-Lite2, not the paper's")
    assert plain[2].endswith("ImageNet-1k; without it choose model.preset=from_scratch")
    assert helped[2].endswith("a backbone trained on ImageNet-1k")
    assert helped[3:] == ["model.rcm_scale: 0.1 instead of 1e-06; a larger initial value lets the decoder learn sooner"]


@pytest.mark.parametrize(
    "override",
    [
        "train.seed=3",
        "data.workers=0",
        "train.compile=true",
        "model.drop_path=0",
        "model.layer_scale=0.1",  # the file of the backbone has its own
        "start.backbone=eformer_s1_450.pth",
        "start.sha256=abc",
    ],
)
def test_settings_that_do_not_change_results_are_not_listed(override):
    assert differences(override) == []


def test_a_start_without_a_backbone_suggests_a_preset_unless_it_is_chosen():
    tables = "start.attention_tables=resampled"

    plain, helped = (
        differences("start.backbone=", tables),
        differences("start.backbone=", tables, "model.layer_scale=0.1"),
    )

    assert [deviation.partition(":")[0] for deviation in plain] == ["start.backbone"]
    assert plain[0].endswith("ImageNet-1k; without it choose model.preset=from_scratch")
    assert helped[0].endswith("ImageNet-1k")
    assert helped[1].startswith("model.layer_scale: 0.1 instead of 1e-05")


def test_each_data_set_is_compared_with_its_own_settings():
    steps = ("data.kind=cocostuff10k", "train.steps=80000")

    assert differences(*steps) == []
    assert differences(*steps[:1]) == ["train.steps: 160000 instead of 80000"]
    assert all(recipe.data.kind == kind for kind, (_, recipe) in PUBLISHED.items())


def test_the_tables_name_existing_settings():
    paper = Recipe()
    sections = {section.name: getattr(paper, section.name) for section in fields(paper) if section.name != "sources"}
    known = {f"{name}.{entry.name}" for name, section in sections.items() for entry in fields(section)}

    assert known >= set(REMARKS)
    assert known >= INDIFFERENT
    assert not INDIFFERENT & set(REMARKS)
    assert OTHER_NETWORKS.keys() | DROP_PATH.keys() == set(get_args(ModelSize))


def test_the_drop_paths_are_those_of_the_sizes():
    assert {size: DROP_PATHS.get(size, 0.0) for size in DROP_PATH} == DROP_PATH


def test_several_data_sets_are_a_deviation():
    recipe = parse_recipe({"data": {"classes": ["a", "b"]}, "sources": {"one": {}, "two": {}}}, "recipe")

    messages = [str(deviation) for deviation in compare_with_published(recipe).settings]

    assert "sources: one, two instead of one data set; the mIoU is not comparable" in messages
    assert "data.classes: [a, b] instead of none" in messages
