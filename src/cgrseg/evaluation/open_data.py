"""Open labelled images for the evaluation of given weights: with their classes, sources, merges and hold-out.

The recipe that the weights were trained with says how labels are to be read and which images they have seen.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from cgrseg.config import Kind, Merge
from cgrseg.data.datasets import LabelledImages, open_dataset, without_held_out
from cgrseg.data.mixture import open_mixture, require_sources
from cgrseg.predictor import Segmenter

logger = logging.getLogger(__name__)


def sources_of(segmenter: Segmenter) -> Mapping[str, object]:
    """The sources that the weights were trained on, by name; empty if they were trained on one data set."""
    recipe = segmenter.info.recipe
    return recipe.sources if recipe else {}


def open_sources_for(segmenter: Segmenter, paths: Mapping[str, Path], split: str = "val") -> LabelledImages:
    """Some or all sources of the weights' recipe as one data set.

    Args:
        segmenter: weights trained on several sources.
        paths: folder of each source.
        split: of every source.

    Raises:
        DatasetError: the recipe has no source of that name, or the files are missing or malformed.
    """
    recipe = segmenter.info.recipe
    sources = recipe.sources if recipe else {}
    require_sources(sources, dict(paths))
    given = {name: source for name, source in sources.items() if name in paths}
    return open_mixture(given, segmenter.classes, dict(paths), split)


def open_dataset_for(
    segmenter: Segmenter, kind: Kind, path: Path, split: str = "val", merge: Merge | None = None
) -> LabelledImages:
    """One data set, with the weights' classes; on `train`, images that their recipe holds out are left out.

    Args:
        segmenter: the weights.
        kind: the layout of the files.
        path: the folder.
        split: `val`, `test`, `train`, or `holdout` for the images that the recipe holds out.
        merge: new classes, each with the old ones it is made of; those of the recipe unless given.

    Raises:
        DatasetError: the files are missing or malformed.
    """
    recipe = segmenter.info.recipe
    hold_out = recipe.data.hold_out if recipe else ""
    merge = merge or (recipe.data.merge if recipe and recipe.data.kind == kind else {})
    if split != "train" or not hold_out:
        return open_dataset(kind, path, split, hold_out, segmenter.classes, merge)
    train = open_dataset(kind, path, split, classes=segmenter.classes, merge=merge)
    trained_on = without_held_out(train, hold_out)
    if trained_on is None:
        logger.info("%s is scored whole: the images that the weights' recipe holds out are not in it", path)
        return train
    return trained_on
