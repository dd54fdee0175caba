"""Parameter groups of the optimizer, learning rate schedule, and moving average of the weights."""

import copy

import torch
from torch import nn

from cgrseg.config import TrainConfig
from cgrseg.weights.official import official_name

HEAD_FACTOR = 10.0
"""The paper's learning rate of the head as a multiple of the backbone's."""

KERNEL_AXES = 4
"""Axes of a convolution kernel; biases, norms, scales and attention tables have fewer."""


def parameter_groups(model: nn.Module, config: TrainConfig) -> list[dict]:
    """Parameter groups for AdamW by learning rate factor and weight decay; frozen parameters are left out."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        factor, decays = _paper_group(name) if config.groups == "paper" else (1.0, parameter.ndim == KERNEL_AXES)
        if name.startswith("backbone."):
            factor *= config.backbone_lr_factor
        groups.setdefault((factor, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": config.lr * factor,
            "factor": factor,
            "weight_decay": config.weight_decay if decays else 0.0,
        }
        for (factor, decays), parameters in groups.items()
    ]


def _paper_group(name: str) -> tuple[float, bool]:
    """Official: groups are matched by substring, so `head` is also the talking heads of the backbone."""
    name = official_name(name)
    if "head" in name:
        return HEAD_FACTOR, True
    return 1.0, "norm" not in name


def rate_factor(step: int, config: TrainConfig) -> float:
    """Learning rate of a step (0, 1, ...) as a fraction of the peak: linear warm-up times polynomial decay."""
    decay = (1 - step / config.steps) ** config.power
    if step >= config.warmup_steps:
        return decay
    warmup = 1 - (1 - step / config.warmup_steps) * (1 - config.warmup_factor)
    return decay * warmup


def set_rate(optimizer: torch.optim.Optimizer, step: int, config: TrainConfig) -> float:
    """Set the learning rate of every group for a step; returns that of the groups with factor 1."""
    rate = config.lr * rate_factor(step, config)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


class MovingAverage:
    """Exponential moving average of a network's weights and BatchNorm statistics."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the network's weights, faster in the first steps so that the random initial weights fade."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for average, current in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(current, share)
            else:
                average.copy_(current)
