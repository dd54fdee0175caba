"""How training went, where the weights lie in the folder of their run.

runs/mine/best.safetensors
runs/mine/metrics.jsonl -- losses -- means of neighbours --+-- curves
                   +-- scores -------------------------+

What is known of each class, one row each: for the table of the page, and as CSV.

    confusion matrix -- diagonal / row ------ recall
                    +-- diagonal / column --- precision
                    +-- row / all ----------- share of the labelled pixels

Axes: k classes.
"""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from cgrseg.data.datasets import LabelledImages
from cgrseg.evaluation import Evaluation
from cgrseg.files import replacing
from cgrseg.types import Colour

MOST_POINTS = 400
"""Of the curve of losses."""


def read_history(weights: str) -> dict | None:
    """Loss and mIoU over the steps of the run that made these weights; none where there is no log of it."""
    file = Path(weights).parent / "metrics.jsonl"
    if not Path(weights).is_file() or not file.is_file():
        return None
    events = list(_events(file))
    learnt = [event for event in events if _has(event, "step", "loss") and not event.get("skipped")]
    losses = {int(event["step"]): float(event["loss"]) for event in learnt}
    scores = {(event["step"], event.get("split", "")): event["miou"] for event in events if _has(event, "step", "miou")}
    if not losses and not scores:
        return None
    return {
        "losses": _thinned(sorted(losses.items())),
        "mious": [{"step": step, "split": split, "miou": miou} for (step, split), miou in sorted(scores.items())],
    }


def _events(file: Path) -> list[dict]:
    """The lines that are whole; the last may not be, while a run goes on."""
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
    """At most so many points, each the mean of its neighbours, at the last of their steps."""
    each = max(1, -(-len(points) // MOST_POINTS))
    blocks = [points[start : start + each] for start in range(0, len(points), each)]
    return [(block[-1][0], sum(loss for _, loss in block) / len(block)) for block in blocks]


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class; shares are 0..1, none where there is nothing to divide by."""

    name: str
    colour: Colour
    iou: float | None
    boundary_iou: float | None
    recall: float | None
    """Share of its true pixels that were found."""
    precision: float | None
    """Share of the pixels labelled as it that are it."""
    share: float
    """Of the labelled pixels."""
    pixels: int
    """Whose true class it is."""
    images: int
    """In whose truth it occurs."""
    against_iou: float | None = None
    """Of the rival."""
    gain: float | None = None
    """IoU less the rival's."""


def class_rows(evaluation: Evaluation, images: Int64[np.ndarray, "k"], against: Evaluation | None = None) -> list[dict]:
    """The rows as plain values, in the order of the classes."""
    matrix, iou = evaluation.matrix, evaluation.scores.iou
    true, labelled, right = matrix.sum(axis=1).tolist(), matrix.sum(axis=0).tolist(), matrix.diagonal().tolist()
    boundary = evaluation.boundary.iou if evaluation.boundary else (None,) * len(iou)
    theirs = against.scores.iou if against else (None,) * len(iou)
    rows = [
        ClassRow(
            name=name,
            colour=colour,
            iou=iou[place],
            boundary_iou=boundary[place],
            recall=_quotient(right[place], true[place]),
            precision=_quotient(right[place], labelled[place]),
            share=_quotient(true[place], evaluation.scores.pixels) or 0.0,
            pixels=true[place],
            images=int(images[place]),
            against_iou=theirs[place],
            gain=_difference(iou[place], theirs[place]),
        )
        for place, (name, colour) in enumerate(zip(evaluation.classes.names, evaluation.classes.colours, strict=True))
    ]
    return [asdict(row) for row in rows]


def count_images(dataset: LabelledImages) -> Int64[np.ndarray, "k"]:
    """In how many images each class is annotated."""

    def occurs(index: int) -> np.ndarray:
        return np.bincount(dataset.labels(index).ravel(), minlength=256)[: len(dataset.classes)] > 0

    with ThreadPoolExecutor() as threads:
        return sum(threads.map(occurs, range(len(dataset))), np.zeros(len(dataset.classes), np.int64))


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write the rows as CSV, shares 0..1, nothing where there is no value; the file appears whole or not at all."""
    columns = [key for key in rows[0] if key != "colour"]
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _quotient(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _difference(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours - theirs
