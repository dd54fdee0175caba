"""How training went, where the weights lie in the folder of their run.

runs/mine/best.safetensors
runs/mine/metrics.jsonl -- losses -- means of neighbours --+-- curves
                   +-- scores -------------------------+
"""

import json
from pathlib import Path

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
