"""A backbone of others becomes the start of ours, its attention tables at our size."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.reference import normal_image, timm_weights

from cgrseg.classes import named
from cgrseg.config import ModelConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import build_model
from cgrseg.weights import WeightsInfo, fill_backbone, open_weights, read_backbone, save_weights

CONFIG = ModelConfig(size="s0", classes=3, trained_px=224)
BLOCK, LAST = "stages.3.3.attention.0.bias.table", "embeddings.2.attention.bias.table"


@pytest.fixture(scope="module")
def given(imagenet_s0):
    return read_backbone(imagenet_s0)


def started(given, tables="resampled", **settings):
    """A new backbone of these settings, started from a file."""
    torch.manual_seed(0)
    backbone = build_model(replace(CONFIG, **settings)).backbone.eval()
    fill_backbone(backbone, given, tables)
    return backbone


def with_tables(given, function):
    """The same backbone whose tables are a function of the share of the farthest distance, down and along, 0..1."""
    tensors = dict(given.tensors)
    for name in tensors:
        if name.endswith("attention_biases"):
            share = torch.linspace(0, 1, int(tensors[name].shape[1] ** 0.5))
            tensors[name] = function(share[:, None], share).expand(8, -1, -1).flatten(1)
    return replace(given, tensors=tensors)


def test_tables_of_the_same_size_are_kept_to_the_bit(given):
    tables = started(given).state_dict()

    assert torch.equal(tables[BLOCK].flatten(1), given.tensors["stages.3.blocks.3.token_mixer.attention_biases"])
    assert torch.equal(tables[LAST].flatten(1), given.tensors["stages.3.downsample.attn.attention_biases"])


def features(backbone, *size: int) -> list[torch.Tensor]:
    with torch.inference_mode():
        return backbone(normal_image(1, 3, *size))


@pytest.mark.parametrize("trained_px", [320, 512])
def test_on_images_of_the_new_size_the_network_is_the_one_that_was_given(given, trained_px):
    resampled, kept = (features(started(given, trained_px=px), trained_px, trained_px) for px in (trained_px, 224))

    for one, other in zip(resampled, kept, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_the_positions_of_the_authors_take_the_same_tables(given):
    official, offsets = (features(started(given, position=way), 224, 224) for way in ("official", "offsets"))

    assert all(torch.equal(one, other) for one, other in zip(official, offsets, strict=True))


def test_on_images_of_the_first_size_it_is_not_for_its_table_spans_the_larger_ones(given):
    resampled, kept = (features(started(given, trained_px=px), 224, 224) for px in (512, 224))

    assert (resampled[-1] - kept[-1]).abs().max() > 1e-3


@pytest.mark.parametrize("trained_px", [128, 192])
def test_for_smaller_images_the_nearest_entries_stay_as_they_are(given, trained_px):
    table = started(given, trained_px=trained_px).state_dict()[BLOCK]

    assert torch.equal(table, started(given).state_dict()[BLOCK][:, : trained_px // 32, : trained_px // 32])


def test_a_bias_that_grows_with_the_distance_grows_as_evenly_over_the_new_grid(given):
    slope = with_tables(given, lambda down, along: 3 * down - 2 * along)

    tables = started(slope, trained_px=512).state_dict()

    for name, side in ((BLOCK, 16), (LAST, 32)):
        share = torch.linspace(0, 1, side)
        expected = (3 * share[:, None] - 2 * share).expand(8, -1, -1)
        torch.testing.assert_close(tables[name], expected, rtol=0, atol=1e-5)


def test_a_smooth_bias_is_the_same_function_of_the_distance_within_what_lines_can_follow(given):
    def bell(down, along):
        return torch.exp(-2 * (down**2 + along**2))

    tables = started(with_tables(given, bell), trained_px=512).state_dict()

    bend = 4  # the largest second derivative of the bell, along either axis
    for name, side, entries in ((BLOCK, 16, 7), (LAST, 32, 14)):
        share = torch.linspace(0, 1, side)
        error = (tables[name] - bell(share[:, None], share)).abs().max()
        assert error < 2 * bend / 8 / (entries - 1) ** 2


def test_read_back_at_the_distances_of_the_first_grid_the_bias_is_what_it_was(given):
    def bell(down, along):
        return torch.exp(-2 * (down**2 + along**2))

    first, second = (started(with_tables(given, bell), trained_px=px).state_dict()[BLOCK] for px in (224, 512))

    shares = np.linspace(0, 1, 16), np.linspace(0, 1, 7)
    along_first_row = np.interp(shares[1], shares[0], second[0, 0].numpy())
    assert np.abs(along_first_row - first[0, 0].numpy()).max() < 4 / 8 / 6**2


def test_tables_can_start_at_zero_while_all_else_is_taken(given):
    zero, kept = started(given, "zero", trained_px=512).state_dict(), started(given).state_dict()

    tables = {name for name in zero if name.endswith("bias.table")}
    assert len(tables) == 5
    assert not any(zero[name].any() for name in tables)
    assert all(torch.equal(zero[name], kept[name]) for name in zero.keys() - tables)


def test_the_scales_and_statistics_of_the_file_win_over_the_recipes_start(given):
    weights = started(given, layer_scale=0.1, batch_norm="frozen").state_dict()

    assert torch.equal(weights["stages.0.0.mlp.1.factor"].flatten(), given.tensors["stages.0.blocks.0.ls2.gamma"])
    assert torch.equal(weights["stem.0.norm.running_var"], given.tensors["stem.conv1.bn.running_var"])


def test_the_rest_of_the_network_keeps_its_random_start(given):
    torch.manual_seed(0)
    network = build_model(CONFIG)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    fill_backbone(network.backbone, given, "resampled")

    after = network.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"backbone"}
    assert len(changed) > 300


def test_what_is_missing_unknown_or_misshapen_is_listed(tmp_path):
    weights = timm_weights("s0")
    del weights["stem.conv1.conv.bias"]
    weights["stages.9.extra"] = torch.zeros(1)
    weights["stages.3.blocks.3.token_mixer.attention_biases"] = torch.zeros(8, 48)
    save_file(weights, tmp_path / "odd.safetensors")

    with pytest.raises(CheckpointError) as caught:
        started(read_backbone(tmp_path / "odd.safetensors"))

    told = str(caught.value)
    assert (
        "odd.safetensors does not fit this network: 1 missing (stem.0.conv.bias); 1 unexpected (stages.9.extra)" in told
    )
    assert "1 of another shape (stages.3.3.attention.0.bias.table is (8, 48), not (8, 7, 7))" in told


@pytest.mark.parametrize(
    ("name", "tensors", "sentence"),
    [
        (
            "resnet.safetensors",
            {"layer1.weight": torch.zeros(1)},
            "resnet.safetensors is neither EfficientFormerV2 nor EfficientNet-Lite2: it has",
        ),
        ("s9.pth", {"patch_embed.0.weight": torch.zeros(1)}, "s9.pth is none of the backbones EfficientFormerV2-S0"),
        (
            "whole.pth",
            {"decode_head.x": torch.zeros(1)},
            "whole.pth holds a whole network.*start from it",
        ),
    ],
)
def test_a_file_that_is_no_backbone_says_what_it_lacks_or_is(name, tensors, sentence, tmp_path):
    save = save_file if name.endswith("safetensors") else torch.save
    save(tensors, tmp_path / name)

    with pytest.raises(CheckpointError, match=sentence):
        read_backbone(tmp_path / name)


def test_weights_of_ours_are_told_from_a_backbone(tmp_path):
    info = WeightsInfo(model=CONFIG, classes=named(("a", "b", "c")))
    save_weights(tmp_path / "ours.safetensors", build_model(CONFIG), info)

    with pytest.raises(CheckpointError, match="start from it instead"):
        read_backbone(tmp_path / "ours.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_a_backbone_where_a_network_is_needed_says_how_to_train_from_it(name, tmp_path):
    save = save_file if name.endswith("safetensors") else torch.save
    save(timm_weights("s0"), tmp_path / name)

    with pytest.raises(CheckpointError, match=r"is a backbone alone \(EfficientFormerV2-S0, .*with start.backbone="):
        open_weights(tmp_path / name)
