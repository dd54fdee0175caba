"""Training from a recipe: a new run, or one resumed from its newest checkpoint.

recipe -- open the splits -- build the network -- initialize, or restore a checkpoint -- training loop
                                                  run folder: recipe.yaml, run.json
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from cgrseg.classes import ClassTable
from cgrseg.config import ModelConfig, Recipe
from cgrseg.config.parsing import checked
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import RecipeError, TrainingError, reason
from cgrseg.model import build_model
from cgrseg.training.checkpoint import (
    Identity,
    TrainState,
    has_checkpoint,
    identity_of,
    read_checkpoint,
    require_same_run,
)
from cgrseg.training.depthwise import replace_depthwise
from cgrseg.training.distributed import Processes, join_processes
from cgrseg.training.events import EventLog, Started, Watcher
from cgrseg.training.initialize import freeze_stages, initialize
from cgrseg.training.loop import TrainingLoop
from cgrseg.training.optim import MovingAverage, parameter_groups
from cgrseg.training.precision import resolve_precision
from cgrseg.training.run_folder import alone_in, require_no_run, require_resumable, write_recipe, write_run_info
from cgrseg.training.splits import Where, open_splits, require_sound_splits, unread_files
from cgrseg.weights import open_weights, start_from

logger = logging.getLogger(__name__)

SMALLEST_PX = 64
"""Largest crop that is a single cell at the coarsest level of the pyramid, in rows and columns."""

Resume = bool | Literal["changed"]
"""`changed`: resume even if the recipe or the images are not those the run was started with."""


def train(
    recipe: Recipe,
    data: Where,
    output: Path,
    *,
    init: str | Path | None = None,
    resume: Resume = False,
    device: str = "cpu",
    watch: Watcher | None = None,
) -> Path:
    """Train a network and write its weights and its log into a folder.

    Under torchrun every process makes the same call; they train one network, and rank 0 writes the files.

    Args:
        recipe: all settings.
        data: the folder of the data set; for a recipe with sources, the folder of each source by its name.
        output: the run's folder: recipe.yaml, run.json, metrics.jsonl, metrics.csv, best.safetensors, last.safetensors,
            curves.png (where matplotlib is installed) and states/.
        init: weights to start from; the classifier keeps its rows for classes of the same name, all others are
            initialized at random.
        resume: resume the run in the folder, from its first step if it has no checkpoint yet; `changed`: even if the
            recipe or the images differ.
        device: `cpu`, `cuda` or `cuda:1`; with torchrun, `cuda` is one GPU per process.
        watch: called with every event, for a live display; returning True saves a checkpoint and stops the run.

    Returns:
        The path of the weights with the best score.

    Raises:
        RecipeError: a setting is out of range.
        CheckpointError: the weights to start from do not exist or do not fit.
        DatasetError: a few pairs of each split were checked, and one has an error.
        TrainingError: the folder already holds a run, or weights without a checkpoint to resume from; another process
            trains in it; the recipe is not that of the run to resume, the disk is full, or the loss is not finite.
        RunStopped: `watch` returned True; the checkpoint is saved.
    """
    recipe = checked(recipe)
    require_resumable(output) if resume else require_no_run(output)
    with join_processes(device) as processes:
        splits = open_splits(recipe, data)
        require_sound_splits(recipe, data, splits)
        for finding in unread_files(recipe, data) if processes.is_first else ():
            logger.warning("%s", finding)
        recipe = replace(recipe, model=replace(recipe.model, classes=len(splits[0].classes)))
        require_divisible(recipe, processes)
        require_batch_statistics(recipe, processes)
        resume_from = output if resume and has_checkpoint(output / "states") else None
        if resume and resume_from is None and processes.is_first:
            logger.warning("%s holds no checkpoint to resume from; the run starts at its first step", output)
        recipe, state, drawn_anew = _initial_state(recipe, splits[0].classes, init, resume_from, processes)
        identity = Identity(recipe, splits[0].fingerprints() if processes.is_first else ())
        if resume_from is not None:
            _restore(resume_from, state, identity if processes.is_first and resume is True else None)
        with alone_in(output, processes):
            if processes.is_first:
                write_recipe(output, recipe, state)
                write_run_info(output, data, init, processes)
            processes.barrier()
            with EventLog(output, watch, writes=processes.is_first) as log:
                log(_started(recipe, state, splits[0], drawn_anew, processes))
                TrainingLoop(recipe, state, splits, log, processes, identity).run()
    return output / "best.safetensors"


def require_divisible(recipe: Recipe, processes: Processes) -> None:
    """Require a batch size that divides equally among the processes and the parts that accumulate.

    Raises:
        RecipeError: it does not.
    """
    images, accumulate = recipe.train.batch_size, recipe.train.accumulate
    if images % (processes.world_size * accumulate):
        raise RecipeError(
            f"train.batch_size is {images}, which {processes.world_size} processes with "
            f"train.accumulate={accumulate} cannot divide equally",
            advice=f"choose a multiple of {processes.world_size * accumulate}",
        )


def require_batch_statistics(recipe: Recipe, processes: Processes) -> None:
    """Require that BatchNorm always has more than one value per channel, also at the coarsest level of the pyramid.

    Raises:
        RecipeError: a single image at a time is so small that there would be one value.
    """
    images = recipe.train.batch_size // recipe.train.accumulate
    small = next((crop for crop in recipe.data.crops_px if max(crop) <= SMALLEST_PX), None)
    if processes.world_size == 1 and images == 1 and small:
        raise RecipeError(
            f"data.crops_px {list(small)} is too small for one image at a time",
            advice=f"use crops of more than {SMALLEST_PX} pixels, or train.batch_size=2",
        )


def new_state(model: nn.Module, recipe: Recipe) -> TrainState:
    """The training state before the first step: memory layout, optimizer, moving average, gradient scaler."""
    config = recipe.train
    if next(model.parameters()).device.type == "cpu" and not config.channels_last:
        replace_depthwise(model)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(parameter_groups(model, config), lr=config.lr, betas=config.betas, fused=True)
    average = MovingAverage(model, config.ema) if config.ema else None
    device = next(model.parameters()).device.type
    return TrainState(model, optimizer, average, torch.amp.GradScaler(device, enabled=config.precision == "fp16"))


def _initial_state(
    recipe: Recipe, classes: ClassTable, init: str | Path | None, resume_from: Path | None, processes: Processes
) -> tuple[Recipe, TrainState, tuple[str, ...]]:
    """The resolved recipe, the state before the first step, and the classes whose classifier rows are random."""
    torch.manual_seed(recipe.train.seed)
    model = build_model(recipe.model)
    drawn_anew = ()
    if init is not None:
        source, info = open_weights(init)
        drawn_anew = start_from(model, classes, source.state_dict(), info.classes, str(init))
        if processes.is_first:
            warn_other_settings(recipe.model, info.model, str(init))
    freeze_stages(model, recipe, init=init)
    recipe = resolve_precision(
        initialize(model, recipe, init=init, resume_from=resume_from), processes, resume_from=resume_from
    )
    return recipe, new_state(model.to(processes.device), recipe), drawn_anew


def warn_other_settings(model: ModelConfig, trained: ModelConfig, init: str) -> None:
    """Log the settings of the weights to start from that change what the network computes under this recipe."""
    for name in ("position", "talk_bias"):
        ours, theirs = getattr(model, name), getattr(trained, name)
        if ours != theirs:
            logger.warning(
                "%s was trained with model.%s=%s but the recipe has %s; model.%s=%s keeps its predictions",
                *(init, name, theirs, ours, name, theirs),
            )


def _started(
    recipe: Recipe, state: TrainState, images: LabelledImages, drawn_anew: tuple[str, ...], processes: Processes
) -> Started:
    return Started(
        step=state.progress.step,
        steps=recipe.train.steps,
        size=recipe.model.size,
        images=len(images),
        classes=images.classes.names,
        drawn_anew=drawn_anew,
        start=recipe.start,
        processes=processes.world_size,
        sources={name: len(indices) for name, indices in images.indices_by_source().items() if name},
    )


def _restore(output: Path, state: TrainState, identity: Identity | None) -> None:
    """Load the newest intact checkpoint into the state; if an identity is given, it must be that of the run."""
    tree, saved_identity = read_checkpoint(output / "states")
    if identity is not None:
        require_same_run(identity, identity_of(saved_identity))
    try:
        state.restore(tree)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(f"the checkpoint of {output} does not fit this recipe: {reason(error)}") from None
