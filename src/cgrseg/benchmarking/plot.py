"""Plot of a benchmark: published accuracy against published arithmetic, and against the time measured here.

Similar to Fig. 1 of the paper. All accuracies are those the authors published for ADE20K's 150 classes, single scale.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cgrseg.errors import CGRSegError, MissingExtra
from cgrseg.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLASSES = 150
"""Classes of ADE20K; networks with another number of classes cannot be compared with its accuracies."""


@dataclass(frozen=True)
class Published:
    """Published results of one network."""

    design: str
    family: str
    gmacs: float
    """Multiply-adds at 512 x 512, in G, as counted in its paper."""
    miou: float
    """mIoU in percent."""
    side: str = "right"
    """Side of the point where its name covers no other one."""


PUBLISHED = (
    Published("CGRSeg-T", "CGRSeg", 4.0, 43.6, "above left"),
    Published("CGRSeg-B", "CGRSeg", 7.6, 45.5, "above left"),
    Published("CGRSeg-L", "CGRSeg", 14.9, 48.3),
    Published("CGRSeg-B+SSA", "CGRSeg+SSA", 7.6, 47.1, "left"),
    Published("CGRSeg-L+SSA", "CGRSeg+SSA", 14.8, 49.0, "above"),
    Published("EfficientViT-B1", "EfficientViT", 3.1, 42.8, "below"),
    Published("EfficientViT-B2", "EfficientViT", 9.1, 45.9, "below right"),
    Published("SegFormer-B0", "SegFormer", 8.4, 37.4, "left"),
    Published("SegFormer-B1", "SegFormer", 15.9, 42.2, "left"),
    Published("SegFormer-B2", "SegFormer", 62.4, 46.5),
    Published("OffSeg-T", "OffSeg", 5.3, 44.2, "below right"),
    Published("OffSeg-B", "OffSeg", 10.3, 45.9),
    Published("SeaFormer-L+SSA", "SeaFormer+SSA", 6.4, 45.4, "left"),
    Published("SegMAN-T", "SegMAN", 6.2, 43.0, "below"),
)
COLOURS = {
    "CGRSeg": "#c8102e",
    "CGRSeg+SSA": "#e58a97",
    "EfficientViT": "#2a9d8f",
    "SegFormer": "#30638e",
    "OffSeg": "#8a6fb0",
    "SeaFormer+SSA": "#e09f3e",
    "SegMAN": "#6c757d",
}
SIDES = {
    "left": (-8, 0, "right", "center"),
    "right": (8, 0, "left", "center"),
    "above": (0, 7, "center", "bottom"),
    "below": (0, -7, "center", "top"),
    "above left": (-2, 6, "right", "bottom"),
    "below right": (3, -13, "left", "top"),
}
"""Offset of a name in points, and its horizontal and vertical alignment."""
MOST_GMACS = 17.5
"""End of the axis of arithmetic; networks beyond it appear only in the plot of times."""
RUNTIMES = {
    "torch": ("PyTorch", "o"),
    "onnx": ("ONNX Runtime", "s"),
    "openvino": ("OpenVINO", "D"),
    "plain": ("PyTorch, plain pipeline", "X"),
}
"""Legend text and marker, by engine; `plain` is the baseline."""


def require_matplotlib() -> None:
    """Check that matplotlib is installed, before minutes of measuring.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401, ICN001  only checked for
    except ImportError:
        raise MissingExtra(
            "matplotlib is not installed",
            advice="run: pip install 'cgrseg[plot]'",
        ) from None


def plot_report(report: dict, path: Path) -> None:
    """Plot a benchmark from its `as_tree()` or its JSON file.

    Args:
        report: the benchmark.
        path: image file to write; its suffix gives the format.

    Raises:
        MissingExtra: matplotlib is not installed.
        CGRSegError: no entry has a published accuracy, or matplotlib cannot write this format.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    drawn = drawable(report)
    figure = Figure(figsize=(11, 5), layout="constrained")
    arithmetic, time = figure.subplots(1, 2, sharey=True, width_ratios=(1.1, 1))
    draw_arithmetic(arithmetic)
    draw_time(time, drawn)
    arithmetic.set_ylabel("mIoU on ADE20K val, published (%)")
    figure.text(0.5, -0.02, conditions(report), ha="center", va="top", fontsize=8, color="#555555")
    kind = path.suffix.removeprefix(".").lower()
    if kind not in figure.canvas.get_supported_filetypes():
        raise CGRSegError(
            f"{path}: matplotlib cannot write {path.suffix!r} files",
            advice="use .png, .svg or .pdf",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format=kind, dpi=150, bbox_inches="tight", facecolor="white")


def drawable(report: dict) -> list[tuple[dict, Published]]:
    """Entries with a published accuracy, each with what was published.

    Raises:
        CGRSegError: there are none.
    """
    known = {published.design: published for published in PUBLISHED}
    rows = [row for row in report["contenders"] if row["classes"] == CLASSES and row["design"] in known]
    if not rows:
        names = ", ".join(row["name"] for row in report["contenders"])
        raise CGRSegError(
            f"nothing to plot: the published accuracies are for {CLASSES} classes, which none of {names} has",
            advice="measure cgrseg-t, cgrseg-b or cgrseg-l",
        )
    return [(row, known[row["design"]]) for row in rows]


def draw_arithmetic(axes: "Axes") -> None:
    """Plot all published networks; those of one family are joined by a line."""
    for family, colour in COLOURS.items():
        members = [network for network in PUBLISHED if network.family == family and network.gmacs < MOST_GMACS]
        is_own = family == "CGRSeg"
        style = {"color": colour, "markersize": 8 if is_own else 6, "linewidth": 2 if is_own else 1.2, "zorder": 2}
        axes.plot([network.gmacs for network in members], [network.miou for network in members], "o-", **style)
        for network in members:
            write_name(axes, network, network.gmacs, network.side)
    axes.set_title("published accuracy against published arithmetic", fontsize=11)
    axes.set_xlabel("G multiply-adds at 512 x 512, each by its own paper's count")
    axes.set_xlim(1.5, MOST_GMACS)
    finish(axes)


def draw_time(axes: "Axes", drawn: list[tuple[dict, Published]]) -> None:
    """Plot the measured times: median, quartiles as a bar, one marker for each engine."""
    for row, published in drawn:
        total, colour = row["total"], COLOURS[published.family]
        spread = [[total["median_ms"] - total["low_ms"]], [total["high_ms"] - total["median_ms"]]]
        mark = {"fmt": runtime_of(row)[1], "color": colour, "markersize": 8, "capsize": 3, "elinewidth": 1.2}
        axes.errorbar(total["median_ms"], published.miou, xerr=spread, **mark)
    for network in {published.design: published for _, published in drawn}.values():
        times = [row["total"]["median_ms"] for row, published in drawn if published == network]
        axes.plot([min(times), max(times)], [network.miou] * 2, color=COLOURS[network.family], linewidth=0.8, alpha=0.5)
        write_name(axes, network, min(times), "above")
    for label, marker in dict.fromkeys(runtime_of(row) for row, _ in drawn):
        axes.plot([], [], marker, color="#333333", label=label)
    axes.legend(frameon=False, fontsize=9, loc="center right", bbox_to_anchor=(1, 0.27))
    axes.set_title("published accuracy against time measured here", fontsize=11)
    axes.set_xlabel("ms from the file to the label map, median and quartiles")
    axes.set_xlim(left=0)
    axes.margins(x=0.15)
    finish(axes)


def runtime_of(row: dict) -> tuple[str, str]:
    """Legend text and marker of an entry."""
    key = "plain" if row["name"] == "plain" else row["engine"]
    return RUNTIMES.get(key, (key, "o"))


def write_name(axes: "Axes", published: Published, x: float, side: str) -> None:
    """Write a network's name beside its point."""
    right, up, horizontal, vertical = SIDES[side]
    weight = "bold" if published.family == "CGRSeg" else "normal"
    style = {"color": COLOURS[published.family], "fontsize": 9, "fontweight": weight, "ha": horizontal, "va": vertical}
    axes.annotate(published.design, (x, published.miou), xytext=(right, up), textcoords="offset points", **style)


def finish(axes: "Axes") -> None:
    """Add a light grid, remove the frame, fix the accuracy axis."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelleft=True)
    axes.set_ylim(36.3, 49.9)


def conditions(report: dict) -> str:
    """Conditions of the measurement, in one line."""
    machine, image, settings = report["machine"], report["picture"], report["settings"]
    threads = "1 thread" if settings["threads"] == 1 else f"{settings['threads']} threads"
    return (
        f"{machine['processor']}, {threads}, batch 1, image of {image['height']} x "
        f"{image['width']}, {CLASSES} classes, medians of {settings['repeats']} interleaved passes, "
        f"PyTorch {machine['versions']['torch']}, {report['date'][:10]}"
    )
