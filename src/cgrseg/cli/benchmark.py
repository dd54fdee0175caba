"""`cgrseg benchmark`: time, memory and multiply-adds of a label map on this machine."""

import shlex
import sys
from pathlib import Path
from typing import get_args

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from cgrseg.cli import options
from cgrseg.cli.benchmark_tables import tables
from cgrseg.cli.progress import live
from cgrseg.config import BaselineName, EngineName

WIDTH = 100
"""Columns of the tables where stdout is not a terminal."""
BASELINES: tuple[BaselineName, ...] = get_args(BaselineName)


class Several(click.ParamType[tuple[str, ...]]):
    """Reads `torch,openvino`: some of the choices, with commas between them."""

    name = "a,b,..."

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        for name in names:
            if name not in self.choices:
                self.fail(f"{name!r} is none of {', '.join(self.choices)}", param, ctx)
        return names


class SizeType(click.ParamType[tuple[int, int]]):
    """Reads `512x683`: height and width."""

    name = "HxW"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        height, _, width = value.lower().partition("x")
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            self.fail(f"{value!r} is not a size; write height x width, for example 512x683", param, ctx)
        return int(height), int(width)


@click.command(epilog="\b\nExample:\n  cgrseg benchmark cgrseg-t cgrseg-b --against plain,segformer-b0 --size 512x683")
@click.argument("weights", metavar="WEIGHTS...", nargs=-1, required=True)
@click.option(
    "--engine",
    "engines",
    type=Several(options.ENGINES),
    default="auto",
    show_default=True,
    help=f"Some of {', '.join(options.ENGINES)}.",
)
@click.option(
    "--against", type=Several(BASELINES), default="", help=f"Baselines to compare with: {', '.join(BASELINES)}."
)
@click.option("--image", type=options.FILE, help="The image.  [default: the bundled street photo]")
@click.option("--size", type=SizeType(), help="Bring the image to this size first.  [default: its own]")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
@click.option("--classes", type=click.IntRange(1, 254), default=150, show_default=True, help="If untrained.")
@click.option("--repeats", type=click.IntRange(min=2), default=20, show_default=True, help="Counted rounds.")
@options.as_json
@click.option("--plot", "plot_file", type=options.FILE, help="Draw accuracy against time: .png, .svg or .pdf.")
def benchmark(
    weights: tuple[str, ...],
    engines: tuple[EngineName, ...],
    against: tuple[BaselineName, ...],
    image: Path | None,
    size: tuple[int, int] | None,
    threads: int,
    classes: int,
    repeats: int,
    json_file: Path | None,
    plot_file: Path | None,
) -> None:
    """Measure WEIGHTS. Time of each stage, memory, multiply-adds; cgrseg-t, -b, -l, -lite are networks without any."""
    import cgrseg
    from cgrseg.benchmarking.plot import plot_report, require_matplotlib

    if plot_file is not None:
        require_matplotlib()
    config = cgrseg.BenchmarkConfig(
        engines=engines,
        against=against,
        image=image,
        size=size,
        threads=threads,
        classes=classes,
        repeats=repeats,
    )
    with live(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("opening", total=None)
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
