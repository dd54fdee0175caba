"""Steps of `cgrseg evaluate`: open the images, score them, fit a temperature to them."""

import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgrseg.cli import options
from cgrseg.cli.progress import bar, bar_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cgrseg.config import SourceConfig
    from cgrseg.data.datasets import LabelledImages
    from cgrseg.evaluation import Evaluation
    from cgrseg.predictor import Segmenter


def opened(data: options.DataPaths, split: str, segmenters: "list[Segmenter]") -> "LabelledImages":
    """The images, split and with classes as the first weights' own recipe says where it is for such data."""
    from cgrseg.evaluation import require_same_classes

    recipe = segmenters[0].info.recipe
    paths = data.by_source(recipe.sources) if recipe and recipe.sources else {}
    if recipe and not paths.keys().isdisjoint(recipe.sources):
        dataset = _of_sources(recipe.sources, paths, split, segmenters[0])
    else:
        dataset = _of_one(data.single(), split, segmenters[0])
    for segmenter in segmenters:
        require_same_classes(segmenter.classes, dataset)
    return dataset


def _of_sources(
    sources: "Mapping[str, SourceConfig]", paths: dict[str, Path], split: str, segmenter: "Segmenter"
) -> "LabelledImages":
    """All sources of the recipe that are given, or some."""
    from cgrseg.data.mixture import open_mixture, require_sources

    require_sources(sources, paths)
    given = {name: source for name, source in sources.items() if name in paths}
    return open_mixture(given, segmenter.classes, paths, split)


def _of_one(data: options.DataPath, split: str, segmenter: "Segmenter") -> "LabelledImages":
    """One data set; the recipe's hold-out leaves the split `train` if this is the data set it was made for."""
    import cgrseg
    from cgrseg.data.datasets import without_held_out

    recipe = segmenter.info.recipe
    hold_out = recipe.data.hold_out if recipe else ""
    merge = data.merge or (recipe.data.merge if recipe and recipe.data.kind == data.kind else {})
    if split != "train" or not hold_out:
        return cgrseg.open_dataset(data.kind, data.path, split, hold_out, segmenter.classes, merge)
    train = cgrseg.open_dataset(data.kind, data.path, split, classes=segmenter.classes, merge=merge)
    trained_on = without_held_out(train, hold_out)
    if trained_on is not None:
        return trained_on
    click.echo(f"{data.path} is scored whole: the images that the weights' recipe holds out are not in it", err=True)
    return train


def scored(segmenters: "list[Segmenter]", dataset: "LabelledImages", settings: dict) -> "list[Evaluation]":
    """The scores of each, one after the other."""
    import cgrseg

    images, started = len(dataset), time.perf_counter()
    how = settings["measures"] | settings["pace"]
    with bar("images", len(segmenters) * images) as show:
        results = [
            cgrseg.evaluate(segmenter, dataset, lambda done, _, before=before: show(before + done), **how)
            for before, segmenter in zip(count(0, images), segmenters, strict=False)
        ]
    click.echo(f"{len(results) * images} images in {time.perf_counter() - started:.1f} s", err=True)
    return results


def calibrated(segmenter: "Segmenter", dataset: "LabelledImages", file: Path, pace: dict[str, int]) -> dict:
    """Fit the temperature and write the weights with it; what that changes."""
    from cgrseg.evaluation import calibrate, write_temperature

    with bar_of("calibrating") as show:
        result = calibrate(segmenter, dataset, show, **pace)
    write_temperature(segmenter.weights, file, result.temperature)
    return {"file": str(file)} | result.as_tree()
