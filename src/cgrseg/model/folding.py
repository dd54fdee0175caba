"""The same network with less to compute: what is linear and constant is multiplied out.

    convolution -- BN                             =  one convolution        everywhere
    MLP or attention -- scale                     =  its last convolution   of a backbone block
    BN -- 1x1 -- GELU -- 1x1 -- scale             =  1x1 -- GELU -- 1x1     of an RCM

Nothing depends on the size of the image, so the folded network takes any size, too.
"""

import copy

import torch
from torch import Tensor, nn

from cgrseg.model.efficientformer import Attention, Block, LocalMLP
from cgrseg.model.layers import ConvNorm, FrozenBatchNorm, Scale
from cgrseg.model.rcm import RCA, RCM

Norm = nn.BatchNorm2d | FrozenBatchNorm


def fold(model: nn.Module) -> nn.Module:
    """A new network, in eval mode and for inference only, that gives the logits of `model` with fewer operations."""
    folded = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    for module in list(folded.modules()):
        if isinstance(module, Block):
            for branch in filter(None, (module.attention, module.mlp)):
                fold_branch(branch)
        elif isinstance(module, RCM):
            fold_rcm(module)
        elif isinstance(module, RCA):
            fold_strips(module.calibrate)
    for module in list(folded.modules()):
        for name, child in module.named_children():
            if isinstance(child, ConvNorm):
                module.add_module(name, joined(child.conv, child.norm))
    return folded


def fold_branch(branch: nn.Sequential) -> None:
    """Move the scale of a block's branch into the norm before it."""
    part, scale = branch
    assert isinstance(part, LocalMLP | Attention)
    assert isinstance(scale, Scale)
    last = part.project if isinstance(part, LocalMLP) else part.project[1]
    assert isinstance(last, ConvNorm)
    last.norm.weight.mul_(scale.factor.flatten())
    last.norm.bias.mul_(scale.factor.flatten())
    branch[1] = nn.Identity()


def fold_rcm(rcm: RCM) -> None:
    """Move the norm of an RCM into the convolution behind it and its scale into the one before it."""
    first, _, last = rcm.mlp
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    factor, shift = line(rcm.norm)
    set_line(first, first.weight * factor[:, None, None], add(first.bias, first.weight.flatten(1) @ shift))
    gain = rcm.scale.factor.flatten()
    set_line(last, last.weight * gain[:, None, None, None], add(last.bias, torch.zeros_like(gain)) * gain)
    rcm.add_module("norm", nn.Identity())
    rcm.add_module("scale", nn.Identity())


def fold_strips(strips: nn.Sequential) -> None:
    """Join the first strip convolution and the norm behind it."""
    conv, norm = strips[0], strips[1]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, Norm)
    strips[0], strips[1] = joined(conv, norm), nn.Identity()


def joined(conv: nn.Conv2d, norm: Norm) -> nn.Conv2d:
    """The convolution that stands for a convolution and the norm behind it."""
    factor, shift = line(norm)
    bias = shift if conv.bias is None else conv.bias * factor + shift
    set_line(conv, conv.weight * factor[:, None, None, None], bias)
    return conv


def line(norm: Norm) -> tuple[Tensor, Tensor]:
    """The factor and the shift of each channel that a norm in eval mode stands for."""
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    factor = norm.weight / torch.sqrt(variance + norm.eps)
    return factor, norm.bias - mean * factor


def set_line(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    """Give a convolution another kernel and bias."""
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(bias, requires_grad=False)


def add(bias: Tensor | None, more: Tensor) -> Tensor:
    """A convolution's bias, if it has one, and more."""
    return more if bias is None else bias + more
