"""`cgrseg evaluate`: the scores of weights on labelled images."""

import shlex
import sys
from pathlib import Path

import click
from rich.console import Console

from cgrseg.cli import evaluate_options as settings_of
from cgrseg.cli import options
from cgrseg.cli.evaluate_steps import calibrated, opened, scored
from cgrseg.cli.evaluate_tables import tables


@click.command(epilog="\b\nExample:\n  cgrseg evaluate cgrseg-t-camvid --data camvid=path/to/CamVid")
@click.argument("weights")
@options.several_data
@click.option("--split", default="val", show_default=True, help="Part of the data set: val, test, train or holdout.")
@click.option("--against", metavar="WEIGHTS", help="Score these on the same images, too, and compare.")
@settings_of.measures
@settings_of.fitting
@settings_of.running
@settings_of.pace
@options.as_json
@click.option("--report", "page", type=options.FILE, help=settings_of.REPORT)
@click.pass_obj
def evaluate(
    settings: dict,
    weights: str,
    data: options.DataPaths,
    split: str,
    against: str | None,
    json_file: Path | None,
    page: Path | None,
) -> None:
    """Score WEIGHTS on labelled images. IoU of each class and their mean, counted at the annotations' own sizes."""
    import cgrseg
    from cgrseg.evaluation import require_target
    from cgrseg.report import report_tree, require_page, write_report

    if page is not None:
        require_page(page)
        settings["measures"] |= {"boundary": True, "calibration": True}
    names, target = [weights] if against is None else [weights, against], settings["fitting"]["calibrate"]
    segmenters = [cgrseg.load(name, **settings["running"]) for name in names]
    if target is not None:
        require_target(segmenters[0], target)
    dataset = opened(data, split, segmenters)
    results = scored(segmenters, dataset, settings)
    rival = None if against is None else (against, results[1])
    fitted = None if target is None else calibrated(segmenters[0], dataset, target, settings["pace"])
    report = report_tree(weights, results[0], rival, fitted)
    Console().print(*tables(report), sep="\n")
    options.write_json(json_file, report)
    if page is not None:
        run = {"command": shlex.join(["cgrseg", *sys.argv[1:]]), "threads": settings["running"]["threads"]}
        write_report(page, results[0], segmenters[0], dataset, against=rival, calibrated=fitted, run=run)
