"""From a recipe and a folder to a run, new or resumed.

recipe -- open the splits -- build -- weights to start from -- or the newest whole state -- Run
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
import yaml
from torch import nn

from cgrseg.classes import ClassTable
from cgrseg.config import ModelConfig, Recipe
from cgrseg.config.parsing import as_tree, checked
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import RecipeError, TrainingError, reason
from cgrseg.files import replacing
from cgrseg.model import build_model
from cgrseg.training.checkpoint import Identity, TrainState, has_state, identity_of, read_state, require_same_run
from cgrseg.training.depthwise import quicken_depthwise
from cgrseg.training.distributed import World, joined
from cgrseg.training.initialize import freeze_first, settle_start
from cgrseg.training.loggers import EventLog, Started, Watcher, cut_events
from cgrseg.training.loop import Run
from cgrseg.training.optim import MovingAverage, parameter_groups
from cgrseg.training.precision import settle_precision
from cgrseg.training.run_info import write_about
from cgrseg.training.splits import Where, open_splits, require_sound_splits
from cgrseg.weights import open_weights, start_from

logger = logging.getLogger(__name__)

SMALLEST_PX = 64
"""A crop of at most so many rows and columns is one place in the pyramid."""

Resume = bool | Literal["changed"]
"""`changed` also where recipe or images are not those that the run was started with."""


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

    In each process that torchrun started, the same call; they learn as one, and the first writes.

    Args:
        recipe: all settings.
        data: where the files of the recipe's kind of data set are; by name, where those of each of its sources are.
        output: the run's folder: recipe.yaml, run.json, metrics.jsonl, metrics.csv, best.safetensors, last.safetensors,
            curves.png (where matplotlib is installed) and states/.
        init: weights to start from; classifier rows of classes of the same name are kept, others drawn anew.
        resume: go on with the run that the folder holds, from its first step where it has saved no state yet; `changed`
            even if recipe or images differ.
        device: `cpu`, `cuda` or `cuda:1`; with torchrun `cuda` is one for each process.
        watch: called with every event, for a live display; an answer of True saves the state and stops the run.

    Returns:
        The weights with the best score.

    Raises:
        RecipeError: a setting is out of its range.
        CheckpointError: the weights to start from are not there, or do not fit.
        DatasetError: a look at a few pairs of each split found an error.
        TrainingError: the folder holds a run already, the recipe is not that of the run to resume, the disk is full, or
            the loss is not finite.
        RunStopped: `watch` asked for it; the state is saved.
    """
    recipe = checked(recipe)
    if not resume:
        require_no_run(output)
    with joined(device) as world:
        splits = open_splits(recipe, data)
        require_sound_splits(recipe, data, splits)
        recipe = replace(recipe, model=replace(recipe.model, classes=len(splits[0].classes)))
        require_divisible(recipe, world)
        require_places(recipe, world)
        begun = output if resume and has_state(output / "states") else None
        if resume and begun is None and world.is_first:
            logger.warning("%s holds no state to go on from; the run starts at its first step", output)
        recipe, state, drawn_anew = _begin(recipe, splits[0].classes, init, begun, world)
        identity = Identity(recipe, splits[0].fingerprints() if world.is_first else ())
        if begun is not None:
            _go_on(begun, state, identity if world.is_first and resume is True else None)
        if world.is_first:
            _write_start(output, recipe, state)
            write_about(output, data, init, world)
        world.wait()
        with EventLog(output, watch, writes=world.is_first) as log:
            log(_started(recipe, state, splits[0], drawn_anew, world))
            Run(recipe, state, splits, log, world, identity).go()
    return output / "best.safetensors"


def require_no_run(output: Path) -> None:
    """Refuse a folder that holds a run which came to its first save.

    Raises:
        TrainingError: it does.
    """
    if (output / "best.safetensors").exists() or has_state(output / "states"):
        raise TrainingError(
            f"{output} already holds a run",
            advice="resume it, or choose another output folder",
            setting="resume",
        )


def require_divisible(recipe: Recipe, world: World) -> None:
    """Refuse a batch that cannot be shared equally among processes and their parts.

    Raises:
        RecipeError: it cannot.
    """
    images, accumulate = recipe.train.batch_size, recipe.train.accumulate
    if images % (world.size * accumulate):
        raise RecipeError(
            f"train.batch_size is {images}, which {world.size} processes with "
            f"train.accumulate={accumulate} cannot share equally",
            advice=f"choose a multiple of {world.size * accumulate}",
        )


def require_places(recipe: Recipe, world: World) -> None:
    """Refuse a single image at a time, so small that BatchNorm would have one place of the pyramid to average over.

    Raises:
        RecipeError: that is so.
    """
    images = recipe.train.batch_size // recipe.train.accumulate
    small = next((crop for crop in recipe.data.crops_px if max(crop) <= SMALLEST_PX), None)
    if world.size == 1 and images == 1 and small:
        raise RecipeError(
            f"data.crops_px {list(small)} is too small for one image at a time",
            advice=f"take crops of more than {SMALLEST_PX} pixels, or train.batch_size=2",
        )


def new_state(model: nn.Module, recipe: Recipe) -> TrainState:
    """The state before the first step."""
    config = recipe.train
    if next(model.parameters()).device.type == "cpu" and not config.channels_last:
        quicken_depthwise(model)
    if config.channels_last:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(parameter_groups(model, config), lr=config.lr, betas=config.betas, fused=True)
    average = MovingAverage(model, config.ema) if config.ema else None
    device = next(model.parameters()).device.type
    return TrainState(model, optimizer, average, torch.amp.GradScaler(device, enabled=config.precision == "fp16"))


def _begin(
    recipe: Recipe, classes: ClassTable, init: str | Path | None, begun: Path | None, world: World
) -> tuple[Recipe, TrainState, tuple[str, ...]]:
    """The recipe with nothing left open, the state before the first step, and the classes that start at random."""
    torch.manual_seed(recipe.train.seed)
    model = build_model(recipe.model)
    drawn_anew = ()
    if init is not None:
        given, info = open_weights(init)
        drawn_anew = start_from(model, classes, given.state_dict(), info.classes, str(init))
        if world.is_first:
            tell_of_other_reading(recipe.model, info.model, str(init))
    freeze_first(model, recipe, init=init)
    recipe = settle_precision(settle_start(model, recipe, init=init, begun=begun), world, begun=begun)
    return recipe, new_state(model.to(world.device), recipe), drawn_anew


def tell_of_other_reading(model: ModelConfig, learnt: ModelConfig, init: str) -> None:
    """Log which settings that the weights to start from were learnt with give other numbers in this recipe."""
    for name in ("position", "talk_bias"):
        ours, theirs = getattr(model, name), getattr(learnt, name)
        if ours != theirs:
            logger.warning(
                "%s was trained with model.%s=%s and goes on with %s; model.%s=%s keeps what it computes",
                *(init, name, theirs, ours, name, theirs),
            )


def _started(
    recipe: Recipe, state: TrainState, images: LabelledImages, drawn_anew: tuple[str, ...], world: World
) -> Started:
    return Started(
        step=state.progress.step,
        steps=recipe.train.steps,
        size=recipe.model.size,
        images=len(images),
        classes=images.classes.names,
        drawn_anew=drawn_anew,
        start=recipe.start,
        processes=world.size,
        sources={name: len(indices) for name, indices in images.indices_by_source().items() if name},
    )


def _go_on(output: Path, state: TrainState, identity: Identity | None) -> None:
    """Bring the state to where the run's newest whole one left it; if an identity is given, it must be the run's."""
    tree, about = read_state(output / "states")
    if identity is not None:
        require_same_run(identity, identity_of(about))
    try:
        state.restore(tree)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(f"the state of {output} does not fit this recipe: {reason(error)}") from None


def _write_start(output: Path, recipe: Recipe, state: TrainState) -> None:
    """The resolved recipe, and the events up to where the run goes on."""
    output.mkdir(parents=True, exist_ok=True)
    cut_events(output, state.progress.step, state.progress.scored)
    with replacing(output / "recipe.yaml") as unfinished:
        unfinished.write_text(yaml.safe_dump(as_tree(recipe), sort_keys=False), encoding="utf-8")
