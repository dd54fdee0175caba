"""Tables of a report: scores of each class, and the curves of the run that trained the weights.

    confusion matrix --+-- diagonal / row -------> recall
                       +-- diagonal / column ----> precision
                       +-- row / all ------------> share of the labelled pixels

    runs/mine/best.safetensors
    runs/mine/metrics.jsonl --+-- losses, averaged over neighbours --+--> curves
                              +-- scores ----------------------------+

Axes: k classes.
"""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cgrseg.evaluation import Evaluation
from cgrseg.files import replacing
from cgrseg.types import Colour

RENAMED = {"images": "pictures"}
"""Column names in files, where they differ from the names here."""
MOST_POINTS = 400
"""Largest number of points in the curve of losses."""


def read_history(weights: str) -> dict | None:
    """Loss and mIoU over the steps of the run that trained the weights; none without a log next to them."""
    file = Path(weights).parent / "metrics.jsonl"
    if not Path(weights).is_file() or not file.is_file():
        return None
    events = list(_events(file))
    steps = [event for event in events if _has(event, "step", "loss") and not event.get("skipped")]
    losses = {int(event["step"]): float(event["loss"]) for event in steps}
    scores = {(event["step"], event.get("split", "")): event["miou"] for event in events if _has(event, "step", "miou")}
    if not losses and not scores:
        return None
    return {
        "losses": _thinned(sorted(losses.items())),
        "mious": [{"step": step, "split": split, "miou": miou} for (step, split), miou in sorted(scores.items())],
    }


def _events(file: Path) -> list[dict]:
    """Complete lines of a log; the last one may be incomplete while the run goes on."""
    events = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def _has(event: dict, *keys: str) -> bool:
    return all(isinstance(event.get(key), int | float) for key in keys)


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `MOST_POINTS` points, each the mean of a block of neighbours, at the last step of the block."""
    size = max(1, -(-len(points) // MOST_POINTS))
    blocks = [points[start : start + size] for start in range(0, len(points), size)]
    return [(block[-1][0], sum(loss for _, loss in block) / len(block)) for block in blocks]


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """Scores of one class; shares are 0..1, or none without pixels to divide by."""

    name: str
    colour: Colour
    iou: float | None
    boundary_iou: float | None
    recall: float | None
    """Share of its true pixels with the right label."""
    precision: float | None
    """Share of the pixels with its label that are right."""
    share: float
    """Share of the labelled pixels."""
    pixels: int
    """Pixels of its true class."""
    images: int
    """Images in whose truth it occurs."""
    against_iou: float | None = None
    """IoU of the rival."""
    gain: float | None = None
    """IoU minus that of the rival."""


def class_rows(evaluation: Evaluation, against: Evaluation | None = None) -> list[dict]:
    """Rows of all classes as plain values."""
    matrix, iou = evaluation.matrix, evaluation.scores.iou
    true, labelled, right = matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist(), matrix.diagonal().tolist()
    boundary = evaluation.boundary.iou if evaluation.boundary else (None,) * len(iou)
    theirs = against.scores.iou if against else (None,) * len(iou)
    rows = [
        ClassRow(
            name=name,
            colour=colour,
            iou=iou[index],
            boundary_iou=boundary[index],
            recall=_quotient(right[index], true[index]),
            precision=_quotient(right[index], labelled[index]),
            share=_quotient(true[index], evaluation.scores.pixels) or 0.0,
            pixels=true[index],
            images=int(evaluation.images_of_class[index]),
            against_iou=theirs[index],
            gain=_difference(iou[index], theirs[index]),
        )
        for index, (name, colour) in enumerate(zip(evaluation.classes.names, evaluation.classes.colours, strict=True))
    ]
    return [{RENAMED.get(key, key): value for key, value in asdict(row).items()} for row in rows]


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write the rows as CSV, with shares 0..1 and empty cells for missing values; the file is written atomically."""
    columns = [key for key in rows[0] if key != "colour"]
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _quotient(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _difference(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs
