"""The tables of an evaluation: percent, one class a row, and how sure the means are."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

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
