"""The tables of a benchmark: the conditions, the times, the costs, and notes on how to read them."""

from pathlib import PurePath

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

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
