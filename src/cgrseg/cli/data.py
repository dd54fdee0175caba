"""`cgrseg data`: list the data sets that can be read, check one, look at it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cgrseg.classes import read_published
from cgrseg.cli import options
from cgrseg.cli.data_check import check
from cgrseg.config import Kind

if TYPE_CHECKING:
    from cgrseg.config import DataConfig
    from cgrseg.data.datasets import LabelledImages
    from cgrseg.data.samples import Sample
    from cgrseg.draw.contact_sheet import Cell
    from cgrseg.types import LabelMap


HEADS = ("Image", "Labels", "As training sees it", "Labels as training sees them")


EXAMPLE = """\b
Example:
  cgrseg data show --data folder=my-photos -o sheet.png
  cgrseg data show --recipe mixture.yaml --data voc=path/to/VOC2012 --data mine=my-photos"""


@click.command("show", epilog=EXAMPLE)
@options.several_data
@click.option("--split", default="train", show_default=True, help="Part of the data set: train, val or test.")
@click.option("--count", type=click.IntRange(1, 50), default=8, show_default=True, help="Images on the sheet.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which images, which crops.")
@click.option("--recipe", type=options.FILE, help="Recipe whose settings of `data`, and sources, are shown.")
@click.option("-o", "--output", type=options.FILE, default="sheet.png", show_default=True, help="The sheet.")
def show(data: options.DataPaths, split: str, count: int, seed: int, recipe: Path | None, output: Path) -> None:
    """Draw a contact sheet of images, their labels, and both as training sees them."""
    from cgrseg.data.images import write_image
    from cgrseg.data.samples import areas, draw_samples, labels_shown
    from cgrseg.draw.contact_sheet import contact_sheet

    dataset, config = opened(data, recipe, split)
    samples = draw_samples(dataset, config, count, seed)
    title = f"{dataset.kind} {split}: {len(samples)} of {len(dataset):,} images, {len(dataset.classes)} classes"
    rows = [cells(sample) for sample in samples]
    write_image(output, contact_sheet(title, HEADS, rows, labels_shown(dataset), areas(samples, dataset)))
    click.echo(output)


def opened(data: options.DataPaths, recipe: Path | None, split: str) -> "tuple[LabelledImages, DataConfig]":
    """The split of one data set, or of all sources together, and the settings of `data` that training would have."""
    import cgrseg
    from cgrseg.config import DataConfig
    from cgrseg.data.mixture import open_mixture

    mixture = options.mixture_of(data, recipe)
    if mixture is not None:
        config = cgrseg.read_recipe(recipe).data if recipe else DataConfig()
        return open_mixture(*mixture, split), config
    one = data.single()
    config = cgrseg.read_recipe(recipe, one.overrides()).data if recipe else DataConfig(kind=one.kind, merge=one.merge)
    dataset = cgrseg.open_dataset(one.kind, one.path, split, merge=config.merge)
    return dataset.with_levels(config.levels if recipe else dataset.own_levels()), config


def cells(sample: "Sample") -> "list[Cell]":
    """The row of a sample."""
    from cgrseg.draw.contact_sheet import Cell

    sizes = [f"{width} x {height}" for height, width in (sample.labels.shape, sample.seen_labels.shape)]
    return [
        Cell(sample.image, None, sample.name),
        Cell(sample.image, sample.labels, f"{sizes[0]}, {_present(sample.labels)}"),
        Cell(sample.seen, None, f"crop of {sizes[1]}"),
        Cell(sample.seen, sample.seen_labels, _present(sample.seen_labels)),
    ]


def _present(labels: "LabelMap") -> str:
    """How many classes a label map holds."""
    from cgrseg.types import IGNORE

    count = len({*labels.ravel().tolist()} - {IGNORE})
    return f"{count} class{'' if count == 1 else 'es'}"


PUBLISHED: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "folder")
WIDTH = 100
"""Columns where no terminal says how wide it is."""


@click.group(commands=[check, show], epilog="\b\nExample:\n  cgrseg data list")
def data() -> None:
    """Know the data sets that can be read, find what is wrong with one, and look at it."""


@data.command("list", epilog="\b\nExample:\n  cgrseg data list ade20k")
@click.argument("kind", type=click.Choice(PUBLISHED), metavar="[KIND]", required=False)
@options.as_json
def list_kinds(kind: Kind | None, json_file: Path | None) -> None:
    """List the kinds of data set. With KIND, its classes: label, value in the label files, colour and name."""
    report = describe(kind) if kind else {"kinds": [describe(name) for name in PUBLISHED]}
    if kind:
        click.echo(facts(report))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(classes(report) if kind else kinds(report["kinds"]))
    options.write_report(json_file, report)


def describe(kind: Kind) -> dict:
    """The facts of a published data set, as plain values."""
    known = read_published(kind)
    rows = zip(known.classes.names, known.classes.colours, known.raw, strict=True)
    return {
        "kind": kind,
        "name": known.name,
        "terms": known.terms,
        "home": known.home,
        "files": list(known.files),
        "splits": known.splits,
        "ignore": list(known.ignored),
        "classes": [{"name": name, "colour": list(colour), "raw": raw} for name, colour, raw in rows],
    }


def kinds(reports: list[dict]) -> Table:
    """One kind a row."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, leading=1)
    table.add_column("kind", no_wrap=True)
    for name in ("classes", "train", "val"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("terms, and where it is described", overflow="fold")
    for report in reports:
        sizes = (f"{report['splits'][split]:,}" for split in ("train", "val"))
        table.add_row(report["kind"], str(len(report["classes"])), *sizes, f"{report['terms']}\n{report['home']}")
    table.add_row("folder", "any", "any", "any", "your own images, with label maps or polygons")
    return table


def facts(report: dict) -> str:
    """All facts of a kind but its classes, in lines that are never wrapped, since they hold addresses."""
    splits = ", ".join(f"{split} {count:,}" for split, count in report["splits"].items())
    ignored = ", ".join(map(str, report["ignore"])) or "none"
    first = {"images": splits, "terms": report["terms"], "home": report["home"], "ignored values": ignored}
    rows = [*first.items(), *(("files", file) for file in report["files"])]
    return "\n".join([report["name"], *(f"  {name:14}  {value}" for name, value in rows)]) + "\n"


def classes(report: dict) -> Table:
    """One class a row."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for name in ("label", "value"):
        table.add_column(name, justify="right")
    for name in ("colour", "name"):
        table.add_column(name)
    for label, row in enumerate(report["classes"]):
        red, green, blue = row["colour"]
        swatch = Text.assemble(("   ", f"on rgb({red},{green},{blue})"), f" {red:3} {green:3} {blue:3}")
        table.add_row(str(label), str(row["raw"]), swatch, row["name"])
    return table
