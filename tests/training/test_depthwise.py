"""The fast gradient of a 5x5 depthwise kernel equals the ordinary one."""

import pytest
import torch
from torch import nn

from cgrseg.config import ModelConfig
from cgrseg.model import build_model
from cgrseg.training.depthwise import FastDepthwise, kernel_gradient, replace_depthwise


def depthwise(stride: int = 1, padding: int = 2, channels: int = 6) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels, channels, 5, stride, padding, groups=channels, bias=False)


def trained(conv: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, gradient of the input and gradient of the kernel."""
    x = x.clone().requires_grad_()
    conv.weight.grad = None
    y = conv(x)
    y.square().sum().backward()
    return y.detach().float(), x.grad.float(), conv.weight.grad.clone()


SIZES = [(1, 2, 12, 17), (2, 0, 15, 19), (2, 0, 14, 18), (2, 2, 9, 8), (1, 2, 1, 3)]
every_size = pytest.mark.parametrize(("stride", "padding", "height", "width"), SIZES)


@every_size
def test_four_small_kernels_give_the_gradient_of_the_large_one(stride, padding, height, width):
    conv = depthwise(stride, padding).double()
    x = torch.randn(3, 6, height, width, dtype=torch.float64)
    output = conv(x)
    gradient = torch.randn_like(output)

    given = kernel_gradient(x, gradient, stride, padding)

    (expected,) = torch.autograd.grad(output, conv.weight, gradient)
    torch.testing.assert_close(given, expected, rtol=1e-12, atol=1e-12)


@every_size
def test_in_bf16_output_and_gradients_are_those_of_autograd(stride, padding, height, width):
    conv = depthwise(stride, padding).bfloat16()
    fast, x = FastDepthwise(conv), torch.randn(3, 6, height, width, dtype=torch.bfloat16)

    given, expected = trained(fast, x), trained(conv, x)

    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one.float(), other.float(), rtol=2**-7, atol=2**-7 * float(other.abs().max()))


def test_under_autocast_the_kernel_and_its_gradient_stay_in_fp32():
    conv = depthwise()
    fast, x = FastDepthwise(conv), torch.randn(2, 6, 9, 9)

    with torch.autocast("cpu", torch.bfloat16):
        given = trained(fast, x.bfloat16())[2]

    expected = trained(conv, x)[2]
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, expected, rtol=0.05, atol=0.02 * float(expected.abs().max()))


def test_a_frozen_kernel_or_a_pass_without_gradients_uses_the_ordinary_convolution():
    conv = depthwise()
    fast, x = FastDepthwise(conv), torch.randn(1, 6, 7, 7)

    with torch.no_grad():
        assert torch.equal(fast(x.bfloat16().float()), conv(x.bfloat16().float()))
        fast.bfloat16()
        assert torch.equal(fast(x.bfloat16()), conv(x.bfloat16()))
    fast.weight.requires_grad_(requires_grad=False)
    assert not fast(x.bfloat16()).requires_grad


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    ordinary = build_model(ModelConfig(size="lite", classes=3))
    fast = build_model(ModelConfig(size="lite", classes=3))
    fast.load_state_dict(ordinary.state_dict())
    replace_depthwise(fast)
    return ordinary.eval(), fast.eval()


def test_only_the_5x5_depthwise_kernels_are_replaced(networks):
    replaced = [module.kernel_size for module in networks[1].modules() if isinstance(module, FastDepthwise)]

    assert replaced == [(5, 5)] * (3 + 4 + 5)


def test_weights_and_their_names_stay(networks):
    ordinary, fast = (network.state_dict() for network in networks)

    assert list(fast) == list(ordinary)
    assert all(torch.equal(fast[name], ordinary[name]) for name in ordinary)
    assert not [name for name, parameter in networks[1].named_parameters() if parameter.device.type == "meta"]


def test_inference_is_unchanged(networks):
    image = torch.randn(1, 3, 64, 96)

    with torch.inference_mode():
        ordinary, fast = (network(image) for network in networks)

    assert torch.equal(ordinary, fast)
