"""Precision of training. The fastest is measured, since a processor without bf16 emulates it slowly.

train.precision: auto -- that of the run to resume, or measured once -- bf16 or fp32, stored in the recipe
"""

import time
from dataclasses import replace
from pathlib import Path

import torch

from cgrseg.config import Recipe
from cgrseg.training.distributed import Processes
from cgrseg.training.run_folder import recipe_to_resume

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

TRIALS = 10
"""Most measurements of a matrix product; the fastest counts."""
MOST_SECONDS = 0.3
"""Time after which no further measurement starts."""
MAX_BF16_COST = 0.8
"""bf16 is chosen if it takes less than this fraction of the time of fp32."""


def resolve_precision(recipe: Recipe, processes: Processes, *, resume_from: Path | None) -> Recipe:
    """Replace the precision `auto` of a recipe by bf16 or fp32, the same in all processes.

    Args:
        recipe: all settings.
        processes: of the run; bf16 is chosen only if it is faster in each of them.
        resume_from: the folder of the run to resume, whose precision is kept on any machine.
    """
    if recipe.train.precision != "auto":
        return recipe
    resumed = None if resume_from is None else recipe_to_resume(resume_from)
    if resumed is not None:
        chosen = resumed.train.precision
    else:
        chosen = "fp32" if processes.any(not bf16_is_faster(str(processes.device))) else "bf16"
    return replace(recipe, train=replace(recipe.train, precision=chosen))


def bf16_is_faster(device: str) -> bool:
    """Whether the device supports bf16; on a CPU, whether bf16 is clearly faster than fp32."""
    if device != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return relative_cost("bf16") < MAX_BF16_COST


def relative_cost(precision: str) -> float:
    """Time of a matrix product on the CPU in this precision, as a multiple of the time in fp32."""
    return _seconds(PRECISIONS[precision]) / _seconds(torch.float32)


def _seconds(dtype: torch.dtype) -> float:
    """Time of a matrix product in seconds, the fastest of a few measurements."""
    matrix, spent = torch.ones(512, 512, dtype=dtype), list[float]()
    while len(spent) < TRIALS and sum(spent) < MOST_SECONDS:
        begin = time.perf_counter()
        torch.matmul(matrix, matrix)
        spent.append(time.perf_counter() - begin)
    return min(spent)
