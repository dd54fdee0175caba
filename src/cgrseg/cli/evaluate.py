"""`cgrseg evaluate`: the scores of weights on labelled pictures."""

import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from cgrseg.cli import evaluate_options as settings_of
from cgrseg.cli import options
from cgrseg.cli.evaluate_tables import tables
from cgrseg.cli.progress import bar

if TYPE_CHECKING:
    from cgrseg.data.datasets import LabelledImages
    from cgrseg.evaluation import Evaluation
    from cgrseg.prediction import Segmenter


@click.command(epilog="\b\nExample:\n  cgrseg evaluate cgrseg-t-camvid --data camvid=path/to/CamVid")
@click.argument("weights")
@options.data
@click.option("--split", default="val", show_default=True, help="Part of the data set: val, test, train or holdout.")
@click.option("--against", metavar="WEIGHTS", help="Score these on the same pictures, too, and compare.")
@settings_of.measures
@settings_of.fitting
@settings_of.running
@settings_of.pace
@options.as_json
@click.pass_obj
def evaluate(
    settings: dict, weights: str, data: options.DataPath, split: str, against: str | None, json_file: Path | None
) -> None:
    """Score WEIGHTS on labelled pictures. IoU of each class and their mean, counted at the annotations' own sizes."""
    import cgrseg
    from cgrseg.evaluation import compare, require_target

    names, target = [weights] if against is None else [weights, against], settings["fitting"]["calibrate"]
    segmenters = [cgrseg.load(name, **settings["running"]) for name in names]
    if target is not None:
        require_target(segmenters[0], target)
    dataset = opened(data, split, segmenters)
    results = scored(segmenters, dataset, settings)
    report, *others = ({"weights": name} | result.as_tree() for name, result in zip(names, results, strict=True))
    if others:
        report |= {"against": others[0], "comparison": compare(*results).as_tree()}
    if target is not None:
        report["calibrated"] = calibrated(segmenters[0], dataset, target, settings["pace"])
    Console().print(*tables(report), sep="\n")
    options.write_json(json_file, report)


def opened(data: options.DataPath, split: str, segmenters: "list[Segmenter]") -> "LabelledImages":
    """The pictures, split and merged as the first weights' own recipe says where it is for such data."""
    import cgrseg
    from cgrseg.evaluation import require_same_classes

    recipe, classes = segmenters[0].info.recipe, segmenters[0].classes
    hold_out = recipe.data.hold_out if recipe else ""
    merge = data.merge or (recipe.data.merge if recipe and recipe.data.kind == data.kind else {})
    dataset = cgrseg.open_dataset(data.kind, data.path, split, hold_out, classes, merge)
    for segmenter in segmenters:
        require_same_classes(segmenter.classes, dataset)
    return dataset


def scored(segmenters: "list[Segmenter]", dataset: "LabelledImages", settings: dict) -> "list[Evaluation]":
    """The scores of each, one after the other."""
    import cgrseg

    pictures, started = len(dataset), time.perf_counter()
    how = settings["measures"] | settings["pace"]
    with bar("pictures", len(segmenters) * pictures) as show:
        results = [
            cgrseg.evaluate(segmenter, dataset, lambda done, before=before: show(before + done), **how)
            for before, segmenter in zip(count(0, pictures), segmenters, strict=False)
        ]
    click.echo(f"{len(results) * pictures} pictures in {time.perf_counter() - started:.1f} s", err=True)
    return results


def calibrated(segmenter: "Segmenter", dataset: "LabelledImages", file: Path, pace: dict[str, int]) -> dict:
    """Fit the temperature and write the weights with it; what that changes."""
    from cgrseg.evaluation import calibrate, write_temperature

    with bar("calibrating", 2 * len(dataset)) as show:
        found = calibrate(segmenter, dataset, show, **pace)
    write_temperature(segmenter.weights, file, found.temperature)
    return {"file": str(file)} | found.as_tree()
