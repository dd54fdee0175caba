"""An evaluation as one page that explains itself: scores, confusions, confidence, and the images behind them.

evaluation ---------- report_tree ------------------> out.json
   +----------------- class_rows -------------------> out.csv
a dozen images,
segmented again ----- images ----+
metrics.jsonl ----------- history -----+-- page --------> out.html: opens from disk, loads nothing
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from cgrseg.classes import read_published
from cgrseg.data.datasets import LabelledImages
from cgrseg.errors import CGRSegError
from cgrseg.evaluation import Evaluation, compare
from cgrseg.files import replacing
from cgrseg.machine import machine
from cgrseg.predictor import Segmenter
from cgrseg.report.examples import show_images
from cgrseg.report.page import fill_page
from cgrseg.report.rows import class_rows, count_images, read_history, write_rows

__all__ = ["Rival", "report_tree", "require_page", "write_report"]

SUFFIXES = (".html", ".htm")

WEIGHTS = (".safetensors", ".pth", ".pt", ".onnx", ".xml")
OF_RUN = ("best", "last")
"""Files that every run has; the name of its folder tells more."""

Rival = tuple[str, Evaluation]
"""The name of the weights that are compared with, and their scores on the same images."""


def require_page(path: Path) -> Path:
    """The path itself, if a report can be written there; its folder is made.

    Raises:
        CGRSegError: it does not end in .html, or nothing can be written there.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CGRSegError(
            f"{path}: a report is a web page",
            advice="give it a name that ends in .html",
        )
    folder = next((file for file in (path, *_beside(path)) if file.is_dir()), None)
    if folder is not None:
        raise CGRSegError(
            f"{folder} is a folder where a file of the report would go",
            advice="give the report another name",
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
    """Plain values for JSON: the scores of the weights, how they compare with a rival's, and what calibrating gave."""
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
    """Write the page, and beside it the same numbers as JSON and, one row a class, as CSV.

    Args:
        path: of the page; ends in .html.
        evaluation: what `evaluate` gave; its edges and its calibration are shown where they were measured.
        segmenter: what was scored; it segments the images that are shown once more.
        dataset: what it was scored on.
        against: weights that are compared with.
        calibrated: what fitting a temperature gave, as `Calibration.as_tree` tells it.
        run: the `command` that makes this report again, and the `threads` that were asked for.

    Raises:
        CGRSegError: the path does not end in .html, or nothing can be written there.
    """
    require_page(path)
    numbers, table = _beside(path)
    tree = report_tree(segmenter.weights, evaluation, against, calibrated)
    rows = class_rows(evaluation, count_images(dataset), against[1] if against else None)
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
        _write(numbers, json.dumps(tree, indent=2) + "\n")
        write_rows(table, rows)
        _write(path, fill_page(content))
    except OSError as error:
        raise CGRSegError(f"{path}: cannot write there: {error.strerror or error}") from None
    return path


def _beside(path: Path) -> tuple[Path, Path]:
    """The files of the same numbers: JSON and CSV."""
    return path.with_suffix(".json"), path.with_suffix(".csv")


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _conditions(segmenter: Segmenter, seconds: float) -> dict:
    """When and on what this was measured."""
    return {
        "engine": segmenter.engine.name,
        "seconds_a_picture": seconds,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine().as_tree(),
    }


def _title(segmenter: Segmenter, dataset: LabelledImages) -> dict[str, str]:
    """What was scored on what, in the words of a headline."""
    file = Path(segmenter.weights)
    name = file.stem if file.suffix in WEIGHTS else file.name
    if name in OF_RUN and file.parent.name:
        name = f"{file.parent.name}/{name}"
    data = "your data" if dataset.kind in ("folder", "mixture") else read_published(dataset.kind).name.partition(",")[0]
    return {"weights": name or "weights", "data": data, "split": dataset.split}
