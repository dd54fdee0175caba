"""`cgrseg data check`: what is wrong with a data set, and how to fix it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cgrseg.cli import options
from cgrseg.cli.progress import bar_of

WIDTH = 100
"""Columns at most, so that sentences stay readable in a wide terminal."""
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
EXAMPLES = 3
FAULTY = 1


EXAMPLE = """\b
Example:
  cgrseg data check --data folder=my-photos
  cgrseg data check --recipe mixture.yaml --data voc=path/to/VOC2012 --data mine=my-photos"""


@click.command("check", epilog=EXAMPLE)
@options.several_data
@click.option("--split", "splits", help="Parts to look at and to compare.  [default: train, and val if there is one]")
@click.option("--recipe", type=options.FILE, help="Recipe whose sources are checked, each and as one.")
@options.as_json
def check(data: options.DataPaths, splits: str | None, recipe: Path | None, json_file: Path | None) -> None:
    """Look for what is wrong with images and labels. Each finding comes with the line that fixes it.

    Of several data sets, each is checked, and then what only shows when they become one.
    """
    names = [name.strip() for name in splits.split(",") if name.strip()] if splits else None
    report = checked(data, names, recipe)
    console = Console(
        width=min(WIDTH, Console().width) if sys.stdout.isatty() else WIDTH, highlight=False, markup=False
    )
    parts = report["sources"].values() if "sources" in report else ()
    is_ready = "sources" not in report and not report["errors"] and not data.merge
    command = f"train on it: cgrseg train {data}" if is_ready else ""
    for part in (*(part for source in parts for part in rendered(source)), *rendered(report, command)):
        console.print(part, soft_wrap=isinstance(part, str))
    options.write_report(json_file, report)
    sys.exit(FAULTY if report["errors"] else 0)


def checked(data: options.DataPaths, splits: list[str] | None, recipe: Path | None) -> dict:
    """The report on one data set, or on several and what they are as one, as plain values."""
    from cgrseg.data.doctor import check_dataset
    from cgrseg.data.doctor.source_rules import check_sources

    with bar_of("images") as show, without_warnings():
        mixture = options.mixture_of(data, recipe)
        if mixture is None:
            one = data.single()
            return check_dataset(one.kind, one.path, splits, one.merge, show).as_tree()
        if splits:
            raise click.UsageError("--split is for one data set; of sources, train and what is scored are looked at")
        return check_sources(*mixture, show).as_tree()


def rendered(report: dict, command: str = "") -> Iterator[str | Table]:
    """One report: what was looked at, classes, findings, the command that comes next, and the numbers of findings."""
    uses = by_source(report) if "sources" in report else classes(report)
    tables = [part for table in (uses, findings(report)) if table.rows for part in (table, "")]
    yield from (about(report), *tables, *([command, ""] if command else []), summary(report), "")


@contextmanager
def without_warnings() -> Iterator[None]:
    """No log lines of the readers: what they warn of is among the findings."""
    logger = logging.getLogger("cgrseg.data.datasets")
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False


def classes(report: dict) -> Table:
    """How often each class occurs, one a row; those that never do are counted."""
    splits = list(report["pictures"])
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("label", justify="right")
    table.add_column("class", overflow="fold")
    for split in splits:
        table.add_column(f"{split}: pixels", justify="right", no_wrap=True)
        table.add_column("images", justify="right", no_wrap=True)
    totals = {split: sum(use["pixels"][split] for use in report["classes"]) or 1 for split in splits}
    for label, use in enumerate(report["classes"]):
        cells = [cell for split in splits for cell in (_share(use["pixels"][split], totals[split]), _count(use, split))]
        if any(use["pixels"].values()):
            swatch = Text.assemble(("   ", "on rgb({},{},{})".format(*use["colour"])), f" {use['name']}")
            table.add_row(str(label), swatch, *cells)
    return table


def by_source(report: dict) -> Table:
    """In how many images of each source each common class occurs, and its share of what all of them teach alone."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("class", overflow="fold")
    table.add_column("pixels", justify="right", no_wrap=True)
    for source in report["sources"]:
        table.add_column(source, justify="right", overflow="fold")
    total = sum(sum(use["pixels"].values()) for use in report["classes"]) or 1
    for use in report["classes"]:
        swatch = Text.assemble(("   ", "on rgb({},{},{})".format(*use["colour"])), f" {use['name']}")
        cells = [_count(use, source) for source in report["sources"]]
        table.add_row(swatch, _share(sum(use["pixels"].values()), total), *cells)
    return table


def _share(pixels: int, total: int) -> str:
    if not pixels:
        return "-"
    return f"{pixels / total:.2%}" if pixels / total >= 0.0001 else "<0.01%"


def _count(use: dict, split: str) -> str:
    return f"{use['pictures'][split]:,}" if use["pictures"][split] else "-"


def findings(report: dict) -> Table:
    """One finding a row: severity and code, the problem, and the fix."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, leading=1)
    table.add_column("", no_wrap=True)
    table.add_column("found, and what to do", overflow="fold")
    for finding in report["findings"]:
        severity = finding["severity"]
        description = Text(finding["sentence"])
        if finding["files"]:
            more = ", ..." if len(finding["files"]) > EXAMPLES else ""
            description.append(f"\n{', '.join(finding['files'][:EXAMPLES])}{more}", "dim")
        description.append("\n→ ", STYLES[severity]).append(finding["fix"])
        table.add_row(Text.assemble((severity, STYLES[severity]), "\n", (finding["code"], "dim")), description)
    return table


def about(report: dict) -> str:
    """The data that was checked, in one line."""
    if "sources" in report:
        return f"{len(report['sources'])} sources as one: the images of train that teach each class\n"
    images = ", ".join(f"{split} {count:,}" for split, count in report["pictures"].items()) or "none"
    layout = f" ({report['layout']})" if report["layout"] else ""
    return f"{report['data']} {report['path']}{layout}, images: {images}\n"


def summary(report: dict) -> str:
    """The counts in one line."""
    return ", ".join(f"{report[f'{name}s']} {name}{'' if report[f'{name}s'] == 1 else 's'}" for name in STYLES)
