"""Complexity of a network: parameters and multiply-adds.

network on the meta device (no memory) -- one forward pass, shapes only --> parameters, multiply-adds
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cgrseg.types import Size


@dataclass(frozen=True)
class Complexity:
    """Cost of a network, whatever machine it runs on."""

    parameters: int
    macs: int
    """Multiply-adds of all convolutions and matrix products, including those inside attention."""
    layer_macs: int
    """Multiply-adds of convolutions and linear layers only, biases included: the paper's way of counting."""


def complexity(build: Callable[[], nn.Module], size: Size) -> Complexity:
    """Count the parameters of a network, and its multiply-adds for one image; only shapes are computed.

    The paper's numbers come from a counter that hooks into layers, so they leave out the products between layers that
    attention computes. `layer_macs` counts the same way: for 150 classes and 512 x 512 it gives T, B and L 4.0, 7.6
    and 14.8 G; the paper says 4.0, 7.6 and 14.9. Other papers, such as SegFormer's, count everything.

    Args:
        build: makes the network; called with `meta` as the default device, so its weights take no memory.
        size: height and width of the image in pixels.
    """
    with torch.device("meta"):
        network = build().eval().requires_grad_(False)
        image = torch.zeros(1, 3, *size)
    layer_macs = []

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kernel = layer.get_parameter("weight")
        layer_macs.append(output.numel() * (kernel[0].numel() + (layer.bias is not None)))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    counter = FlopCounterMode(display=False)
    with counter:
        network(image)
    return Complexity(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=counter.get_total_flops() // 2,
        layer_macs=sum(layer_macs),
    )
