"""Report of an evaluation as one web page: scores, confusions, confidence, and the images behind them.

evaluation ------+-- report_tree --------------------> out.json
+-- class_rows ---------------------> out.csv
worst and best --+-- show_images --+
images                             +-- fill_page ----> out.html: opens from disk and loads nothing
metrics.jsonl ----- read_history --+        |
assets/report: template, style, scripts
"""

import html
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from tempfile import TemporaryFile

from cgrseg.classes import read_published
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import CGRSegError
from cgrseg.evaluation import Evaluation, compare
from cgrseg.files import json_text, replacing
from cgrseg.machine import machine
from cgrseg.predictor import Segmenter
from cgrseg.report.examples import show_images
from cgrseg.report.rows import class_rows, read_history, write_rows

__all__ = ["Rival", "report_tree", "require_page", "write_report"]

SUFFIXES = (".html", ".htm")

"""Suffixes of a web page."""
WEIGHTS = (".safetensors", ".pth", ".pt", ".onnx", ".xml")
"""Suffixes of weights, left out of titles."""
OF_RUN = ("best", "last")
"""Files that every run has; a title names the run's folder, too."""
SCRIPTS = ("base", "charts", "headline", "classes", "confusion", "confidence", "examples", "training", "start")
"""Scripts of the page, in the order in which a browser reads them."""

Rival = tuple[str, Evaluation]
"""Name of the weights to compare with, and their evaluation on the same images."""


def require_page(path: Path) -> Path:
    """Check that a report can be written to a path, create its folder, and return the path.

    Raises:
        CGRSegError: the path does not end in .html, or its files cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CGRSegError(f"{path}: a report is a web page", advice="give it a name that ends in .html")
    folder = next((file for file in (path, *_data_files(path)) if file.is_dir()), None)
    if folder is not None:
        raise CGRSegError(
            f"{folder} is a folder where a file of the report would go", advice="give the report another name"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise CGRSegError(f"{path}: cannot write there: {error.strerror or error}") from None
    return path


def report_tree(
    weights: str, evaluation: Evaluation, against: Rival | None = None, calibrated: Mapping[str, object] | None = None
) -> dict:
    """Plain values for JSON: the scores, the comparison with a rival, and the result of calibration."""
    tree = {"weights": weights} | evaluation.as_tree()
    if against is not None:
        name, theirs = against
        tree["against"] = {"weights": name} | theirs.as_tree()
        tree["comparison"] = compare(evaluation, theirs).as_tree()
    return tree if calibrated is None else tree | {"calibrated": dict(calibrated)}


def write_report(
    path: Path,
    evaluation: Evaluation,
    segmenter: Segmenter,
    dataset: LabelledImages,
    *,
    against: Rival | None = None,
    calibrated: Mapping[str, object] | None = None,
    run: Mapping[str, object] | None = None,
) -> Path:
    """Write the page, and next to it the same numbers as JSON and as CSV with one row for each class.

    Args:
        path: file of the page; ends in .html.
        evaluation: from `evaluate`; edges and calibration are shown if they were measured.
        segmenter: the segmenter that was scored; it segments the images shown on the page again.
        dataset: the data set it was scored on.
        against: other weights to compare with.
        calibrated: result of fitting a temperature, from `Calibration.as_tree`.
        run: the `command` that writes this report, and the number of `threads` it asked for.

    Returns:
        The path of the page.

    Raises:
        CGRSegError: the path does not end in .html, or its files cannot be written.
    """
    require_page(path)
    numbers, table = _data_files(path)
    tree = report_tree(segmenter.weights, evaluation, against, calibrated)
    rows = class_rows(evaluation, against[1] if against else None)
    images, seconds = show_images(evaluation, segmenter, dataset)
    content = {
        "report": tree,
        "title": _title(segmenter, dataset),
        "classes": rows,
        "matrix": evaluation.matrix.tolist(),
        "pictures": images,
        "history": read_history(segmenter.weights),
        "conditions": {"command": "", "threads": None} | _conditions(segmenter, seconds) | dict(run or {}),
        "files": {"json": numbers.name, "csv": table.name},
    }
    try:
        _write(numbers, json_text(tree))
        write_rows(table, rows)
        _write(path, fill_page(content))
    except OSError as error:
        raise CGRSegError(f"{path}: cannot write there: {error.strerror or error}") from None
    return path


def fill_page(content: dict) -> str:
    """HTML of the page that shows this content: the template with its style, scripts and data filled in."""
    title = content["title"]
    parts = {
        "title": html.escape(f"{title['weights']} on {title['data']} {title['split']}"),
        "style": _asset("style/palette.css") + _asset("report/report.css"),
        "script": "\n".join(_asset(f"report/{name}.js") for name in SCRIPTS),
        "data": as_script_data(content),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _asset("report/report.html"))


def as_script_data(content: dict) -> str:
    """JSON for a <script> element: no value in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (resources.files("cgrseg") / "assets" / name).read_text(encoding="utf-8")


def _data_files(path: Path) -> tuple[Path, Path]:
    """The JSON and the CSV file of a page."""
    return path.with_suffix(".json"), path.with_suffix(".csv")


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _conditions(segmenter: Segmenter, seconds: float) -> dict:
    """Engine, time for one image, date and machine."""
    return {
        "engine": segmenter.engine.name,
        "seconds_a_picture": seconds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine().as_tree(),
    }


def _title(segmenter: Segmenter, dataset: LabelledImages) -> dict[str, str]:
    """Weights, data and split, as a headline names them."""
    file = Path(segmenter.weights)
    name = file.stem if file.suffix in WEIGHTS else file.name
    if name in OF_RUN and file.parent.name:
        name = f"{file.parent.name}/{name}"
    data = "your data" if dataset.kind in ("folder", "mixture") else read_published(dataset.kind).name.partition(",")[0]
    return {"weights": name or "weights", "data": data, "split": dataset.split}
