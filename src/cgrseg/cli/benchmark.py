"""`cgrseg benchmark`: what a label map costs here."""

import shlex
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from cgrseg.cli import benchmark_options as settings_of
from cgrseg.cli import options
from cgrseg.cli.benchmark_tables import tables
from cgrseg.cli.progress import live

WIDTH = 100
"""Columns of the tables where no terminal says how many there are."""


@click.command(epilog="\b\nExample:\n  cgrseg benchmark cgrseg-t cgrseg-b --against plain,segformer-b0 --size 512x683")
@click.argument("weights", metavar="WEIGHTS...", nargs=-1, required=True)
@settings_of.engines
@settings_of.against
@settings_of.image
@settings_of.size
@settings_of.threads
@settings_of.classes
@settings_of.repeats
@options.as_json
@click.option("--plot", "plot_file", type=options.FILE, help="Draw accuracy against time: .png, .svg or .pdf.")
@click.pass_obj
def benchmark(settings: dict, weights: tuple[str, ...], json_file: Path | None, plot_file: Path | None) -> None:
    """Measure WEIGHTS. Time of each stage, memory, multiply-adds; cgrseg-t, -b, -l, -lite are networks without any."""
    import cgrseg
    from cgrseg.benchmarking.plot import plot_report, require_matplotlib

    if plot_file is not None:
        require_matplotlib()
    with live(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("opening", total=None)
        config = cgrseg.BenchmarkConfig(**settings)
        result = cgrseg.benchmark(
            weights,
            config,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
            on_stage=lambda text: progress.update(task, description=text),
        )
    report = result.as_tree() | {"command": shlex.join(["cgrseg", *sys.argv[1:]])}
    Console(width=None if sys.stdout.isatty() else WIDTH).print(*tables(report), sep="\n")
    options.write_json(json_file, report)
    if plot_file is not None:
        plot_report(report, plot_file)
