"""`cgrseg evaluate`: the scores of weights on labelled images."""

import shlex
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cgrseg.cli import options
from cgrseg.cli.progress import bar, bar_of
from cgrseg.config import EngineName, Levels, ProtocolName

if TYPE_CHECKING:
    from cgrseg.data.datasets import LabelledImages
    from cgrseg.evaluation import Evaluation
    from cgrseg.predictor import Segmenter


def checked_page(context: click.Context, parameter: click.Parameter, page: Path | None) -> Path | None:  # noqa: ARG001
    """The file of the report, checked before anything is loaded."""
    from cgrseg.report import require_page

    if page is not None:
        require_page(page)
    return page


@click.command(epilog="\b\nExample:\n  cgrseg evaluate cgrseg-t-camvid --data camvid=path/to/CamVid")
@click.argument("weights")
@options.several_data
@click.option("--split", default="val", show_default=True, help="Part of the data set: val, test, train or holdout.")
@click.option("--against", metavar="WEIGHTS", help="Score these on the same images, too, and compare.")
@click.option("--boundary", is_flag=True, help="Score the edges of the classes, too (Boundary IoU).")
@click.option("--calibration", is_flag=True, help="Compare confidence with accuracy, too.")
@click.option(
    "--fit-temperature",
    "calibrated",
    type=options.FILE,
    help="Fit confidence to the images, and write the weights with its temperature to this .safetensors file.",
)
@options.levels
@options.protocol
@click.option("--paper-exact", is_flag=True, help="Go from logits to labels in the two steps of the authors' code.")
@options.engine
@options.device
@options.threads
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Threads that read images, and as many that count; 0 does one thing at a time.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Images of one size that may share a call of the engine.",
)
@options.as_json
@click.option(
    "--report",
    "page",
    type=options.FILE,
    callback=checked_page,
    help="Write everything as a web page (.html), with .json and .csv; implies --boundary and --calibration.",
)
def evaluate(
    weights: str,
    data: options.DataPaths,
    split: str,
    against: str | None,
    boundary: bool,
    calibration: bool,
    calibrated: Path | None,
    levels: Levels | None,
    protocol: ProtocolName,
    paper_exact: bool,
    engine: EngineName,
    device: str,
    threads: int | None,
    workers: int,
    batch: int,
    json_file: Path | None,
    page: Path | None,
) -> None:
    """Score WEIGHTS on labelled images. IoU of each class and their mean, counted at the annotations' own sizes."""
    import cgrseg
    from cgrseg.evaluation import require_target
    from cgrseg.report import report_tree, write_report

    segmenters = [
        cgrseg.load(name, engine=engine, device=device, threads=threads, protocol=protocol, paper_exact=paper_exact)
        for name in ([weights] if against is None else [weights, against])
    ]
    segmenters = [segmenter.with_levels(levels) for segmenter in segmenters]
    if calibrated is not None:
        require_target(segmenters[0], calibrated)
    dataset = opened(data, split, segmenters)
    results = scored(segmenters, dataset, boundary or bool(page), calibration or bool(page), workers, batch)
    rival = None if against is None else (against, results[1])
    fitted = None if calibrated is None else fit(segmenters[0], dataset, calibrated, workers=workers, batch=batch)
    report = report_tree(weights, results[0], rival, fitted)
    Console().print(*tables(report), sep="\n")
    options.write_report(json_file, report)
    if page is not None:
        run = {"command": shlex.join(["cgrseg", *sys.argv[1:]]), "threads": threads}
        write_report(page, results[0], segmenters[0], dataset, against=rival, calibrated=fitted, run=run)


def opened(data: options.DataPaths, split: str, segmenters: "list[Segmenter]") -> "LabelledImages":
    """The images as the first weights read them: by the sources of their recipe, or as one data set."""
    from cgrseg.evaluation import require_same_classes
    from cgrseg.evaluation.evaluate import open_dataset_for, open_sources_for, sources_of

    sources = sources_of(segmenters[0])
    paths = data.by_source(sources) if sources else {}
    if not paths.keys().isdisjoint(sources):
        dataset = open_sources_for(segmenters[0], paths, split)
    else:
        one = data.single()
        dataset = open_dataset_for(segmenters[0], one.kind, one.path, split, one.merge)
    for segmenter in segmenters:
        require_same_classes(segmenter.classes, dataset)
    return dataset


def scored(
    segmenters: "list[Segmenter]",
    dataset: "LabelledImages",
    boundary: bool,
    calibration: bool,
    workers: int,
    batch: int,
) -> "list[Evaluation]":
    """The scores of each segmenter, one after the other, under one progress bar."""
    import cgrseg

    images, started = len(dataset), time.perf_counter()
    with bar("images", len(segmenters) * images) as show:
        results = [
            cgrseg.evaluate(
                segmenter,
                dataset,
                lambda done, _, before=before: show(before + done),
                boundary=boundary,
                calibration=calibration,
                workers=workers,
                batch=batch,
            )
            for before, segmenter in zip(count(0, images), segmenters, strict=False)
        ]
    click.echo(f"{len(results) * images} images in {time.perf_counter() - started:.1f} s", err=True)
    return results


def fit(segmenter: "Segmenter", dataset: "LabelledImages", file: Path, *, workers: int, batch: int) -> dict:
    """Fit the temperature, write the weights with it, and report what it changes."""
    from cgrseg.evaluation import calibrate, write_temperature

    with bar_of("calibrating") as show:
        result = calibrate(segmenter, dataset, show, workers=workers, batch=batch)
    write_temperature(segmenter.weights, file, result.temperature)
    return {"file": str(file)} | result.as_tree()


MEANS = {
    "mean (mIoU)": "miou",
    "mean over images": "picture_miou",
    "frequency-weighted IoU": "frequency_weighted_iou",
    "pixel accuracy": "pixel_accuracy",
    "mean accuracy": "mean_accuracy",
}


def tables(report: dict) -> list[RenderableType]:
    """The report for people."""
    reports = [report, report["against"]] if "against" in report else [report]
    result: list[RenderableType] = [scores(reports)]
    if "comparison" in report:
        result.append(comparison(report))
    if "calibrated" in report:
        result.append(calibrated(report["calibrated"]))
    return result


def scores(reports: list[dict]) -> Table:
    """The scores of one model and how sure its means are, or of two side by side and what the first gains."""
    first = reports[0]
    result = Table(
        "class", title=f"{first['data']} {first['split']}, {first['pictures']} images", caption=first["protocol"]
    )
    headings = ["IoU, %", *(["boundary"] if "boundary" in first else [])]
    for heading in headings:
        for column in (heading, "against", "gain") if len(reports) > 1 else (heading,):
            result.add_column(column, justify="right")
    if len(reports) == 1:
        result.add_column("95 % interval", justify="right")
    for section in (classes(reports), means(reports), sources(reports)):
        result.add_section()
        for cells in section:
            result.add_row(*cells)
    return result


def classes(reports: list[dict]) -> Iterator[list[str]]:
    """One row for each class."""
    for name in reports[0]["iou"]:
        cells = beside([report["iou"][name] for report in reports])
        if "boundary" in reports[0]:
            cells += beside([report["boundary"]["iou"][name] for report in reports])
        yield [name, *cells]


def means(reports: list[dict]) -> Iterator[list[str]]:
    """One row for each score of all classes together."""
    first = reports[0]
    for title, key in MEANS.items():
        cells = beside([report[key] for report in reports])
        if "boundary" in first:
            edges = beside([report["boundary"]["miou"] for report in reports])
            cells += edges if key == "miou" else [""] * len(edges)
        sure = [span(first.get(f"{key}_interval"))] if len(reports) == 1 else []
        yield [title, *cells, *sure]
    if "calibration" in first:
        errors = [percent(report["calibration"]["expected_calibration_error"]) for report in reports]
        yield ["calibration error", *errors]


def sources(reports: list[dict]) -> Iterator[list[str]]:
    """Of several data sets, the mIoU (over the classes in its truth) and the accuracy of each, and their means."""
    if "by_source" not in reports[0]:
        return
    rows = [report["by_source"] | {"mean of sources": report["source_means"]} for report in reports]
    for name in rows[0]:
        for title, key in (("mIoU", "miou"), ("pixel accuracy", "pixel_accuracy")):
            yield [f"{name}: {title}", *beside([row[name][key] for row in rows])]


def beside(shares: list[float | None]) -> list[str]:
    """A share; or those of two models, and what the first has more."""
    if len(shares) == 1:
        return [percent(shares[0])]
    first, second = shares
    more = "-" if first is None or second is None else f"{100 * (first - second):+.1f}"
    return [percent(first), percent(second), more]


def comparison(report: dict) -> Text:
    """The difference of two models, and whether it could be chance."""
    found = report["comparison"]
    lines = ["gain in points, 95 % interval over samples of the images:"]
    for title, key in (("mIoU", "miou"), ("mean over images", "picture_miou")):
        if found[key] is not None:
            lines.append(f"  {title}: {100 * found[key]:+.2f} ({span(found[f'{key}_interval'], signed=True)})")
    lines.append(f"  images better {found['better']}, worse {found['worse']}, equal {found['equal']}")
    return Text("\n".join(lines))


def calibrated(found: dict) -> Text:
    """The temperature that was fitted, and what it does to the calibration error."""
    lines = [
        f"temperature {found['temperature']:.3f}, written to {found['file']}",
        "calibration error, before and after:",
        f"  all images, which it was fitted on: {_falls(found)}",
    ]
    for title, half in zip(("first half, on the second", "second half, on the first"), found["halves"], strict=True):
        lines.append(f"  {half['temperature']:.3f} fitted on the {title}: {_falls(half)}")
    return Text("\n".join(lines))


def _falls(errors: dict) -> str:
    return f"{100 * errors['before']:.2f} -> {100 * errors['after']:.2f}"


def percent(share: float | None) -> str:
    """A share as text."""
    return "-" if share is None else f"{100 * share:.1f}"


def span(ends: tuple[float, float] | None, *, signed: bool = False) -> str:
    """An interval as text."""
    if ends is None:
        return ""
    form = "+.2f" if signed else ".1f"
    return f"{100 * ends[0]:{form}} to {100 * ends[1]:{form}}"
