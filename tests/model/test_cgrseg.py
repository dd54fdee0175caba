import copy
from dataclasses import replace

import pytest
import torch
from support.reference import normal_image
from torch import nn
from torch.export import Dim, export

from cgrseg.config import PRESETS, ModelConfig
from cgrseg.model import build_model
from cgrseg.training.optim import MovingAverage

TINY = ModelConfig(size="s0", classes=3, **PRESETS["from_scratch"])


def lively(config: ModelConfig, seed: int = 0) -> nn.Module:
    """A network whose attention tables are not zero, in eval mode."""
    torch.manual_seed(seed)
    model = build_model(config)
    for name, parameter in model.named_parameters():
        if name.endswith("table"):
            nn.init.normal_(parameter, std=0.5)
    return model.eval()


CONFIGS = [TINY, replace(TINY, position="official"), ModelConfig(size="lite", classes=3)]


@pytest.mark.parametrize("config", CONFIGS, ids=["offsets", "official", "lite"])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 64), (40, 40), (97, 31), (128, 160)])
def test_any_size_gives_logits_of_an_eighth_of_it_rounded_up(size, config):
    model = lively(config)

    with torch.inference_mode():
        logits = model(normal_image(2, 3, *size))

    assert logits.shape == (2, 3, -(-size[0] // 8), -(-size[1] // 8))
    assert logits.isfinite().all()


@pytest.mark.parametrize(("size", "millions"), [("t", 9.36), ("b", 19.11), ("l", 35.68), ("lite", 10.67)])
def test_the_sizes_have_the_parameters_that_the_table_of_sizes_tells(size, millions):
    with torch.device("meta"):
        model = build_model(ModelConfig(size=size, classes=150))

    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 2) == millions


def test_images_of_a_batch_do_not_mix():
    model = lively(TINY)
    images = normal_image(3, 3, 64, 96)

    with torch.inference_mode():
        together, alone = model(images), torch.cat([model(image[None]) for image in images])

    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", [TINY, ModelConfig(size="lite", classes=3)], ids=["s0", "lite"])
def test_padding_is_what_the_caller_would_have_padded(config):
    model, image = lively(config), normal_image(1, 3, 50, 70)

    with torch.inference_mode():
        padded = model(nn.functional.pad(image, (0, 26, 0, 14)))[..., :7, :9]

        torch.testing.assert_close(model(image), padded, rtol=0, atol=0)


@pytest.mark.parametrize(
    "take_over",
    [
        lambda model, other: other.eval().load_state_dict(model.state_dict()) and other,
        lambda model, other: other.load_state_dict(model.state_dict()) and other.eval(),
        lambda model, other: other.train().load_state_dict(model.state_dict()) and other.eval().to("cpu"),
        lambda model, other: copy.deepcopy(model),
        lambda model, other: MovingAverage(model, 0.9).model.eval(),
    ],
    ids=["eval, then load", "load, then eval", "train, load, eval, to", "deepcopy", "average"],
)
def test_nothing_stale_is_left_when_weights_change_hands(take_over):
    model, other = lively(TINY), lively(TINY, seed=1)
    image = normal_image(1, 3, 64, 128)
    with torch.inference_mode():
        expected, used_before = model(image), other(image)
        given = take_over(model, other)(image)

    assert (expected - used_before).abs().max() > 1e-3
    torch.testing.assert_close(given, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("policy", "moves"), [("trained", True), ("frozen", False)])
def test_frozen_batch_norm_keeps_its_statistics_in_training(policy, moves):
    torch.manual_seed(0)
    model = build_model(ModelConfig(size="s0", classes=3, batch_norm=policy)).train()
    before = {name: buffer.clone() for name, buffer in model.backbone.named_buffers() if "running" in name}

    model(normal_image(2, 3, 64, 64)).sum().backward()

    moved = [not torch.equal(before[name], model.backbone.get_buffer(name)) for name in before]
    assert len(moved) > 50
    assert all(moved) if moves else not any(moved)
    assert model.backbone.stem[0].norm.weight.grad is not None


def test_frozen_and_trained_batch_norm_share_their_weights_file():
    trained, frozen = (build_model(ModelConfig(size="s0", classes=3, batch_norm=p)) for p in ("trained", "frozen"))

    assert list(trained.state_dict()) == list(frozen.state_dict())


def test_the_presets_set_where_scales_start():
    paper, scratch = (build_model(ModelConfig(size="s0", **PRESETS[name])) for name in ("paper", "from_scratch"))

    def starts(model):
        return {
            "backbone": model.backbone.stages[0][0].mlp[1].factor.unique().item(),
            "rcm": model.pyramid.rcms[0].scale.factor.unique().item(),
        }

    assert starts(paper) == pytest.approx({"backbone": 1e-5, "rcm": 1e-6})
    assert starts(scratch) == pytest.approx({"backbone": 0.1, "rcm": 0.1})


def test_drop_path_grows_linearly_over_the_blocks():
    model = build_model(ModelConfig(size="s0", drop_path=0.3))

    rates = [block.drop.rate for stage in model.backbone.stages for block in stage]

    assert rates == pytest.approx([0.3 * block / 13 for block in range(14)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_one_exported_program_serves_every_size_and_batch():
    model = lively(ModelConfig(size="s0", classes=11, **PRESETS["from_scratch"]))
    dynamic = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    program = export(model, (normal_image(2, 3, 250, 310),), dynamic_shapes=({**dynamic},)).module()

    for batch, size in ((1, (256, 320)), (3, (120, 200)), (3, (360, 480)), (1, (720, 1280))):
        image = normal_image(batch, 3, *size)
        with torch.inference_mode():
            torch.testing.assert_close(program(image), model(image), rtol=0, atol=5e-5)
