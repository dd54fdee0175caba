"""Training and held-out images of a run, from one data set or from several sources."""

from collections.abc import Mapping
from pathlib import Path

from cgrseg.config import Recipe
from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.data.doctor import require_sound, unread_findings
from cgrseg.data.doctor.findings import Finding
from cgrseg.data.mixture import common_classes, open_mixture, open_sources
from cgrseg.errors import DatasetError, RecipeError

Where = Path | Mapping[str, Path]
"""The folder of a data set; for a recipe with sources, the folder of each source by its name."""

Splits = tuple[LabelledImages, LabelledImages]
"""Images to train on, and images to evaluate on."""


def open_splits(recipe: Recipe, data: Where) -> Splits:
    """Open the images to train on and those to evaluate on: the held-out ones if the recipe has any, else `val`.

    Raises:
        DatasetError: files are missing, or the classes of the splits differ.
        RecipeError: the recipe has sources but one folder is given, or the other way round.
    """
    if recipe.sources:
        paths, classes = _paths(recipe, data), common_classes(recipe.data)
        return (
            open_mixture(recipe.sources, classes, paths, "train"),
            open_mixture(recipe.sources, classes, paths, "val"),
        )
    folder, kind, hold_out, merge = _folder(recipe, data), recipe.data.kind, recipe.data.hold_out, recipe.data.merge
    scored = "holdout" if hold_out else "val"
    images, held_out = (open_dataset(kind, folder, split, hold_out, merge=merge) for split in ("train", scored))
    images, held_out = (part.with_levels(recipe.data.levels) for part in (images, held_out))
    if images.classes.names != held_out.classes.names:
        raise DatasetError(
            f"{folder}: the classes of train and {scored} differ",
            advice="write a classes.txt into the folder",
        )
    return images, held_out


def require_sound_splits(recipe: Recipe, data: Where, splits: Splits) -> None:
    """Check a few pairs of each split; for a recipe with sources, of each source with its own labels.

    Raises:
        DatasetError: a pair has an error that would spoil the run.
    """
    if not recipe.sources:
        require_sound(splits, _folder(recipe, data))
        return
    paths = _paths(recipe, data)
    parts = [open_sources(recipe.sources, paths, split) for split in ("train", "val")]
    for name, path in paths.items():
        require_sound([part[name] for part in parts if name in part], path, is_source=True)


def unread_files(recipe: Recipe, data: Where) -> list[Finding]:
    """Find what the folders of a run hold besides the files that are read, of the user's own data sets."""
    if recipe.sources:
        paths = _paths(recipe, data)
        folders = [paths[name] for name, source in recipe.sources.items() if source.kind == "folder"]
    else:
        folders = [_folder(recipe, data)] if recipe.data.kind == "folder" else []
    return [finding for folder in folders for finding in unread_findings(folder)]


def _paths(recipe: Recipe, data: Where) -> Mapping[str, Path]:
    names = ", ".join(recipe.sources)
    if isinstance(data, Path):
        raise DatasetError(
            f"the recipe has the sources {names}, and {data} is one folder",
            advice="give the folder of each source by its name",
        )
    for key in ("hold_out", "levels", "merge"):
        if getattr(recipe.data, key):
            raise RecipeError(
                f"data.{key} applies to a single data set",
                advice=f"set it in `sources`, for each of {names}",
            )
    return data


def _folder(recipe: Recipe, data: Where) -> Path:
    if isinstance(data, Path):
        if recipe.data.classes:
            raise RecipeError("data.classes are the common classes of sources, but the recipe has no `sources`")
        return data
    raise DatasetError(
        f"the recipe has no sources, but folders were given for {', '.join(data)}",
        advice="give a single folder",
    )
