import pytest
import torch
from torch import nn

from cgrseg.config import ModelConfig, TrainConfig
from cgrseg.model import build_model
from cgrseg.training.optim import MovingAverage, parameter_groups, rate_factor, set_rate
from cgrseg.weights.official import official_name

PAPER = TrainConfig()


@pytest.fixture(scope="module")
def model():
    return build_model(ModelConfig(size="t"))


def members(model, config) -> dict[tuple[float, float], set[str]]:
    """The authors' names of the parameters in each group, by (factor of the rate, weight decay)."""
    names = {id(parameter): official_name(name) for name, parameter in model.named_parameters()}
    return {
        (group["factor"], group["weight_decay"]): {names[id(parameter)] for parameter in group["params"]}
        for group in parameter_groups(model, config)
    }


def test_the_papers_groups_are_ten_times_the_rate_no_decay_and_the_rest(model):
    groups = members(model, PAPER)

    assert set(groups) == {(10, 0.01), (1, 0.0), (1, 0.01)}
    assert sum(map(len, groups.values())) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("decode_head.conv_seg.weight", (10, 0.01)),
        ("decode_head.meta.0.norm.weight", (10, 0.01)),
        ("decode_head.lgc.channel_mul_conv.1.bias", (10, 0.01)),
        ("backbone.network.4.7.token_mixer.talking_head1.weight", (10, 0.01)),
        ("backbone.network.6.5.token_mixer.talking_head2.bias", (10, 0.01)),
        ("backbone.network.0.0.mlp.norm1.weight", (1, 0.0)),
        ("backbone.network.0.0.mlp.mid_norm.bias", (1, 0.0)),
        ("backbone.network.3.norm.weight", (1, 0.0)),
        ("backbone.patch_embed.1.weight", (1, 0.01)),
        ("backbone.network.5.bn.weight", (1, 0.01)),
        ("backbone.network.4.7.token_mixer.q.1.weight", (1, 0.01)),
        ("backbone.network.4.7.token_mixer.attention_biases_seg", (1, 0.01)),
        ("backbone.network.0.0.layer_scale_2", (1, 0.01)),
        ("backbone.network.0.0.mlp.fc1.bias", (1, 0.01)),
    ],
)
def test_a_parameter_of_the_authors_is_in_the_group_their_substrings_put_it_in(name, group, model):
    assert name in members(model, PAPER)[group]


def test_matrices_decay_and_nothing_else_does(model):
    groups = members(model, TrainConfig(groups="matrices", weight_decay=0.05))

    assert set(groups) == {(1, 0.05), (1, 0.0)}
    assert "backbone.network.0.0.mlp.fc1.weight" in groups[1, 0.05]
    still = {"backbone.network.0.0.layer_scale_2", "backbone.network.4.7.token_mixer.attention_biases_seg"}
    assert still < groups[1, 0]


@pytest.mark.parametrize("groups", ["paper", "matrices"])
def test_the_backbone_learns_at_its_factor_of_what_the_groups_give_it(groups):
    network = build_model(ModelConfig(size="lite", classes=3))
    network.backbone.stem.requires_grad_(requires_grad=False)
    plain, slow = (
        {
            id(parameter): (group["factor"], group["weight_decay"])
            for group in parameter_groups(network, TrainConfig(groups=groups, backbone_lr_factor=factor))
            for parameter in group["params"]
        }
        for factor in (1.0, 0.25)
    )

    ratios = {"backbone": set(), "decoder": set()}
    for name, parameter in network.named_parameters():
        if name.startswith("backbone.stem."):
            assert id(parameter) not in slow
            continue
        (before, decay), (after, same_decay) = plain[id(parameter)], slow[id(parameter)]
        ratios["backbone" if name.startswith("backbone.") else "decoder"].add(after / before)
        assert decay == same_decay

    assert ratios == {"backbone": {0.25}, "decoder": {1.0}}


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 1e-6),
        (750, (1 - 750 / 160_000) * (0.5 + 0.5e-6)),
        (1_500, 1 - 1_500 / 160_000),
        (80_000, 0.5),
        (159_999, 1 / 160_000),
    ],
)
def test_the_rate_warms_up_linearly_and_decays_to_zero(step, factor):
    assert rate_factor(step, PAPER) == pytest.approx(factor, rel=1e-9)


def test_each_group_gets_its_factor_of_the_rate(model):
    optimizer = torch.optim.AdamW(parameter_groups(model, PAPER))

    rate = set_rate(optimizer, 80_000, PAPER)

    assert rate == pytest.approx(0.6e-4)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == pytest.approx([0.6e-4, 6e-4])


def test_the_average_moves_by_its_decay_and_copies_counters():
    model = nn.BatchNorm2d(1)
    average = MovingAverage(model, decay=0.9)
    model.running_mean.fill_(1.0)
    model.num_batches_tracked.fill_(7)

    average.update(model, step=10_000)

    assert average.model.running_mean.item() == pytest.approx(0.1)
    assert average.model.num_batches_tracked.item() == 7


def test_the_average_forgets_the_random_start_soon():
    model = nn.Linear(1, 1)
    average = MovingAverage(model, decay=0.9999)
    model.weight.data.fill_(1.0)

    for step in range(50):
        average.update(model, step)

    assert average.model.weight.item() == pytest.approx(1.0, abs=1e-3)
