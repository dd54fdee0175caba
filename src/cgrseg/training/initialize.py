"""Initial weights of a run, settled once: the given weights, the resumed run, or the backbone of the recipe."""

import logging
from dataclasses import replace
from pathlib import Path

from cgrseg.config import Recipe, StartConfig
from cgrseg.errors import RecipeError, TrainingError
from cgrseg.model import CGRSeg
from cgrseg.model.layers import freeze
from cgrseg.recipes import read_recipe
from cgrseg.weights import start_backbone

logger = logging.getLogger(__name__)


def settle_start(network: CGRSeg, recipe: Recipe, *, init: str | Path | None, begun: Path | None) -> Recipe:
    """Load the recipe's backbone, unless something else gives the whole network.

    Args:
        network: the new network.
        recipe: the settings.
        init: weights of a whole network, loaded already; the recipe's backbone then says nothing.
        begun: the folder of a run that is resumed; its state will give all weights.

    Returns:
        The recipe with its start as it was carried out, with the digest of the file.

    Raises:
        CheckpointError: the backbone cannot be found or does not fit.
        TrainingError: the run that is resumed had another start.
    """
    start = recipe.start
    if init is not None:
        if start.backbone is not None:
            logger.info("%s gives the whole network, so start.backbone (%s) is not read", init, start.backbone)
        return replace(recipe, start=StartConfig())
    if begun is not None and (begun / "recipe.yaml").is_file():
        return replace(recipe, start=_same_start(start, begun))
    return replace(recipe, start=start_backbone(network, recipe.model, start))


def freeze_first(network: CGRSeg, recipe: Recipe, *, init: str | Path | None) -> None:
    """Freeze the stem and the first stages of the backbone, as many as the recipe says.

    Raises:
        RecipeError: the backbone has fewer stages, or their weights are random.
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


def _same_start(start: StartConfig, begun: Path) -> StartConfig:
    """The start of a run that began already, which must be the one that is asked for."""
    before = read_recipe(begun / "recipe.yaml").start
    asked = replace(start, sha256=start.sha256 or before.sha256)
    if asked != before:
        raise TrainingError(
            f"{begun} began with {_described(before)}, and a resumed run cannot begin with {_described(asked)}",
            advice="give the same start or another folder with -o",
        )
    return before


def _described(start: StartConfig) -> str:
    if start.backbone is None:
        return "no start.backbone"
    digest = f", SHA-256 {start.sha256[:12]}..." if start.sha256 else ""
    return f"start.backbone {start.backbone} ({start.attention_tables} tables{digest})"
