"""`cgrseg data`: the data sets that can be read."""

import sys
from pathlib import Path
from typing import get_args

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cgrseg.classes import read_published
from cgrseg.cli import options
from cgrseg.cli.data_check import check
from cgrseg.cli.data_show import show
from cgrseg.config import Kind

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
    options.write_json(json_file, report)


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
