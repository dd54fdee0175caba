"""`cgrseg benchmark`: time, memory and multiply-adds of a label map on this machine."""

import shlex
import sys
from pathlib import Path, PurePath
from typing import get_args

import click
from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cgrseg.cli import options
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
    options.write_report(json_file, report)
    if plot_file is not None:
        plot_report(report, plot_file)


MIB, GIGA = 1 << 20, 1e9


def tables(report: dict) -> list[RenderableType]:
    """The report for people."""
    return [conditions(report), times(report), costs(report), notes(report)]


def conditions(report: dict) -> Text:
    """Machine, versions, image and settings."""
    machine, image, settings = report["machine"], report["picture"], report["settings"]
    versions = dict(machine["versions"])
    python, own = versions.pop("python"), versions.pop("cgrseg")
    commit = f" ({machine['commit']})" if machine["commit"] else ""
    threads = "1 thread" if settings["threads"] == 1 else f"{settings['threads']} threads"
    rounds = f"{settings['repeats']} rounds after {settings['warm_up']} of warm-up, by turns"
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Python {python}, cgrseg {own}{commit}",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"{image['name']} at {image['height']} x {image['width']}, batch 1, {threads}; {rounds}; "
        + report["date"][:10],
    ]
    return Text("\n".join(lines), style="dim")


def times(report: dict) -> Table:
    """Milliseconds of each stage."""
    result = plain_table("time, ms: median, quartiles below", (*report["contenders"][0]["stages"], "all", "ratio"))
    for row in report["contenders"]:
        spans = [*row["stages"].values(), row["total"]]
        result.add_row(title(row), *map(span, spans), f"{row['ratio']:.2f}")
    return result


def costs(report: dict) -> Table:
    """Parameters, multiply-adds and memory."""
    headings = ("input\npx", "weights\nM", "MACs\nG", "in layers\nG", "floor\nms", "network\n/ floor")
    result = plain_table("cost", (*headings, "memory\nMiB", "image's\nMiB"))
    for row in report["contenders"]:
        cost, memory = row["complexity"], row["memory"]
        cells = (
            f"{row['input'][0]} x {row['input'][1]}",
            f"{cost['parameters'] / 1e6:.2f}",
            f"{cost['macs'] / GIGA:.2f}",
            f"{cost['layer_macs'] / GIGA:.2f}",
            ms(row["floor_ms"]),
            f"{row['stages']['network']['median_ms'] / row['floor_ms']:.2f}",
            f"{memory['peak_bytes'] / MIB:.0f}",
            f"{memory['above_model_bytes'] / MIB:.0f}",
        )
        result.add_row(title(row), *cells)
    return result


def plain_table(heading: str, columns: tuple[str, ...]) -> Table:
    """A table with a column for the contenders, and none of the lines that would cost width."""
    result = Table(title=heading, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, leading=1)
    result.add_column("", overflow="fold")
    for column in columns:
        result.add_column(column, justify="right", no_wrap=True)
    return result


def title(row: dict) -> Text:
    """A contender's name, and what it runs on."""
    return Text(PurePath(row["name"]).name).append(f"\n{row['engine']}, {row['precision']}", style="dim")


def span(timing: dict) -> Text:
    """The median, and the quartiles below it."""
    quartiles = f"\n{ms(timing['low_ms'])}..{ms(timing['high_ms'])}"
    return Text(ms(timing["median_ms"])).append(quartiles, style="dim")


def ms(value: float) -> str:
    """Milliseconds with the digits that mean something."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def notes(report: dict) -> Text:
    """How to read the numbers."""
    rate = 2 * report["fp32_macs_per_s"] / GIGA
    lines = [
        "ratio: to the first, round by round. MACs: every product of convolutions and matrices; in layers:",
        "as the paper counts, without those inside attention. floor: the network's time if all its MACs",
        f"ran at the {rate:.0f} GFLOP/s that a fp32 matrix product reached meanwhile. memory: the peak of a fresh",
        "process that makes one label map; image's: what of it came after the model was loaded.",
    ]
    if not all(row["is_trained"] for row in report["contenders"]):
        lines.append("Some weights are random: the network takes no other time for it, the label map of a scene may.")
    lines += [same(row) for row in report["contenders"] if row["same_labels"] is not None]
    return Text("\n".join(lines), style="dim")


def same(row: dict) -> str:
    """How far the engine of a contender agrees with the first that ran its weights."""
    share = f"{100 * row['same_labels']:.3f} %"
    return f"{PurePath(row['name']).name} on {row['engine']}: {share} of the labels as on its first engine."
