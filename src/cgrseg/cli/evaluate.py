"""`cgrseg evaluate`: the scores of weights on labelled pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from cgrseg.cli import options
from cgrseg.cli.progress import bar

if TYPE_CHECKING:
    from cgrseg.runtime import EngineName


@click.command(epilog="\b\nExample:\n  cgrseg evaluate cgrseg-t-camvid --data camvid=path/to/CamVid")
@click.argument("weights")
@options.data
@click.option("--split", default="val", show_default=True, help="Part of the data set: val, test, train or holdout.")
@options.engine
@options.device
@options.threads
@options.as_json
def evaluate(
    weights: str,
    data: options.DataPath,
    split: str,
    engine: "EngineName",
    device: str,
    threads: int | None,
    json_file: Path | None,
) -> None:
    """Score WEIGHTS on labelled pictures. IoU of each class and their mean, counted at the annotations' own sizes."""
    import cgrseg

    segmenter = cgrseg.load(weights, engine=engine, device=device, threads=threads)
    recipe = segmenter.info.recipe
    hold_out = recipe.data.hold_out if recipe else ""
    merge = data.merge or (recipe.data.merge if recipe and recipe.data.kind == data.kind else {})
    dataset = cgrseg.open_dataset(data.kind, data.path, split, hold_out, segmenter.classes, merge)
    with bar("pictures", len(dataset)) as show:
        report = cgrseg.evaluate(segmenter, dataset, show).as_tree()
    Console().print(table(report))
    options.write_json(json_file, {"weights": weights} | report)


def table(report: dict) -> Table:
    """The report for people: percent, one class a row."""
    result = Table("class", "IoU, %", title=f"{report['data']} {report['split']}, {report['pictures']} pictures")
    result.columns[1].justify = "right"
    means = {"mean (mIoU)": "miou", "pixel accuracy": "pixel_accuracy", "mean accuracy": "mean_accuracy"}
    for rows in (report["iou"], {title: report[key] for title, key in means.items()}):
        result.add_section()
        for name, share in rows.items():
            result.add_row(name, "-" if share is None else f"{100 * share:.1f}")
    return result
