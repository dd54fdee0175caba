import copy

import pytest
import torch
from support.reference import fill_lite, normal_image
from torch import nn

from cgrseg.config import ModelConfig
from cgrseg.model import build_model
from cgrseg.model.folding import fold
from cgrseg.model.layers import ConvNorm, FrozenBatchNorm, Scale


def trained(size: str = "s0", **settings: str) -> nn.Module:
    """A network whose norms, scales and attention tables are far from where they start."""
    if size == "lite":
        return fill_lite(build_model(ModelConfig(size="lite", classes=5, **settings)))
    torch.manual_seed(0)
    model = build_model(ModelConfig(size=size, classes=5, layer_scale=0.3, rcm_scale=0.3, **settings))
    for name, tensor in model.state_dict().items():
        if name.endswith(("running_var", "norm.weight", "factor")):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "table", "bias")):
            tensor.normal_(std=0.2)
    return model.eval()


SETTINGS = [
    {},
    {"position": "official"},
    {"batch_norm": "frozen"},
    {"size": "lite"},
    {"size": "lite", "batch_norm": "frozen"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("size", [(64, 96), (77, 41)])
def test_a_folded_network_gives_the_same_logits(settings, size):
    model, image = trained(**settings), normal_image(2, 3, *size)

    with torch.inference_mode():
        expected, folded = model(image), fold(model)(image)

    torch.testing.assert_close(folded, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("size", ["s0", "lite"])
def test_no_norm_and_no_scale_is_left(size):
    left = [module for module in fold(trained(size)).modules() if isinstance(module, BATCH_NORMS)]

    assert not left


BATCH_NORMS = (nn.BatchNorm2d, FrozenBatchNorm, ConvNorm, Scale)


@pytest.mark.parametrize("size", ["s0", "lite"])
def test_folding_leaves_the_network_as_it_was(size):
    model = trained(size)
    before = copy.deepcopy(model.state_dict())

    fold(model)

    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
