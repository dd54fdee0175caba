"""`cgrseg evaluate`: the scores of weights on labelled pictures."""

import shlex
import sys
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
@settings_of.running
@options.as_json
@click.option("--report", "page", type=options.FILE, help=settings_of.REPORT)
@click.pass_obj
def evaluate(
    settings: dict,
    weights: str,
    data: options.DataPath,
    split: str,
    against: str | None,
    json_file: Path | None,
    page: Path | None,
) -> None:
    """Score WEIGHTS on labelled pictures. IoU of each class and their mean, counted at the annotations' own sizes."""
    import cgrseg
    from cgrseg.report import report_tree, require_page, write_report

    if page is not None:
        require_page(page)
        settings["measures"] |= {"boundary": True, "calibration": True}
    names = [weights] if against is None else [weights, against]
    segmenters = [cgrseg.load(name, **settings["running"]) for name in names]
    dataset = opened(data, split, segmenters)
    results = scored(segmenters, dataset, settings["measures"])
    rival = None if against is None else (against, results[1])
    report = report_tree(weights, results[0], rival)
    Console().print(*tables(report), sep="\n")
    options.write_json(json_file, report)
    if page is not None:
        run = {"command": shlex.join(["cgrseg", *sys.argv[1:]]), "threads": settings["running"]["threads"]}
        write_report(page, results[0], segmenters[0], dataset, against=rival, **run)


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


def scored(segmenters: "list[Segmenter]", dataset: "LabelledImages", measures: dict[str, bool]) -> "list[Evaluation]":
    """The scores of each, one after the other."""
    import cgrseg

    pictures = len(dataset)
    with bar("pictures", len(segmenters) * pictures) as show:
        return [
            cgrseg.evaluate(segmenter, dataset, lambda done, before=before: show(before + done), **measures)
            for before, segmenter in zip(count(0, pictures), segmenters, strict=False)
        ]
