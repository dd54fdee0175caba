"""The arithmetic of a run. Which is fastest is measured, since a processor without bf16 emulates it, slowly.

train.precision: auto -- measured once, or that of the run that is resumed -- bf16 or fp32, and so it is written down
"""

import time
from dataclasses import replace
from pathlib import Path

import torch

from cgrseg.config import Recipe
from cgrseg.recipes import read_recipe
from cgrseg.training.distributed import World

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

TRIALS = 10
"""Times that the processor multiplies in an arithmetic; the quickest counts."""
MOST_SECONDS = 0.3
"""After so many there are no more trials: what is that slow needs none."""
FASTER = 0.8
"""bf16 is taken if it needs at most this share of fp32's time."""


def settle_precision(recipe: Recipe, world: World, *, begun: Path | None) -> Recipe:
    """The recipe with the arithmetic that `auto` stands for, the same in all processes.

    Args:
        recipe: the settings.
        world: the processes; bf16 is taken if it is faster in each.
        begun: the folder of a run that is resumed, whose arithmetic is kept on whatever machine.
    """
    if recipe.train.precision != "auto":
        return recipe
    if begun is not None and (begun / "recipe.yaml").is_file():
        chosen = read_recipe(begun / "recipe.yaml").train.precision
    else:
        chosen = "fp32" if world.any(not halves_are_faster(str(world.device))) else "bf16"
    return replace(recipe, train=replace(recipe.train, precision=chosen))


def halves_are_faster(device: str) -> bool:
    """Whether the device multiplies in bf16, and clearly faster than in fp32."""
    if device != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return cost_of("bf16") < FASTER


def cost_of(precision: str) -> float:
    """How long a product of matrices takes the processor in this arithmetic, as a multiple of fp32's time."""
    return _seconds(PRECISIONS[precision]) / _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """Of the quickest of a few trials."""
    one, spent = torch.ones(512, 512, dtype=dtype), list[float]()
    while len(spent) < TRIALS and sum(spent) < MOST_SECONDS:
        begin = time.perf_counter()
        torch.matmul(one, one)
        spent.append(time.perf_counter() - begin)
    return min(spent)
