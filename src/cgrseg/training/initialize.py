"""Initial weights of a run: the given weights, those of the run to resume, or the backbone of the recipe."""

import logging
from dataclasses import replace
from pathlib import Path

from cgrseg.config import Recipe, StartConfig
from cgrseg.errors import RecipeError, TrainingError
from cgrseg.model import CGRSeg
from cgrseg.model.layers import freeze
from cgrseg.training.run_folder import recipe_to_resume
from cgrseg.weights import start_backbone

logger = logging.getLogger(__name__)


def initialize(network: CGRSeg, recipe: Recipe, *, init: str | Path | None, resume_from: Path | None) -> Recipe:
    """Load the recipe's backbone, unless the weights of the whole network come from elsewhere.

    Args:
        network: the new network; its backbone is filled in place.
        recipe: all settings.
        init: weights of the whole network, already loaded; the recipe's backbone is then ignored.
        resume_from: the folder of the run to resume; its checkpoint provides all weights.

    Returns:
        The recipe with `start` as it was done, including the digest of the backbone's file.

    Raises:
        CheckpointError: the backbone cannot be found or does not fit.
        TrainingError: the run to resume had another start.
    """
    start = recipe.start
    if init is not None:
        if start.backbone is not None:
            logger.info("%s holds the whole network, so start.backbone (%s) is ignored", init, start.backbone)
        return replace(recipe, start=StartConfig())
    if resume_from is not None and (resumed := recipe_to_resume(resume_from)) is not None:
        return replace(recipe, start=_same_start(start, resumed.start, resume_from))
    return replace(recipe, start=start_backbone(network, recipe.model, start))


def freeze_stages(network: CGRSeg, recipe: Recipe, *, init: str | Path | None) -> None:
    """Freeze the stem and the first `train.freeze_stages` stages of the backbone.

    Raises:
        RecipeError: the backbone has fewer stages, or its weights are random.
    """
    count = recipe.train.freeze_stages
    if not count:
        return
    stages = len(list(network.backbone.get_submodule("stages").children()))
    if count > stages:
        raise RecipeError(
            f"train.freeze_stages is {count}, but the backbone of size {recipe.model.size} has {stages} stages"
        )
    if init is None and recipe.start.backbone is None:
        raise RecipeError(
            f"train.freeze_stages={count} would keep random weights",
            advice="start from weights (start.backbone=imagenet), or take train.freeze_stages=0",
        )
    for part in network.backbone.first(count):  # type: ignore[operator]
        freeze(part)


def _same_start(start: StartConfig, before: StartConfig, resume_from: Path) -> StartConfig:
    """The start of the run to resume; the requested one must equal it."""
    requested = replace(start, sha256=start.sha256 or before.sha256)
    if requested != before:
        raise TrainingError(
            f"{resume_from} started with {_described(before)}; it cannot be resumed with {_described(requested)}",
            advice="use the same start or another output folder",
        )
    return before


def _described(start: StartConfig) -> str:
    if start.backbone is None:
        return "no start.backbone"
    digest = f", SHA-256 {start.sha256[:12]}..." if start.sha256 else ""
    return f"start.backbone {start.backbone} ({start.attention_tables} tables{digest})"
