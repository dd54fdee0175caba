"""Draw the curve of a training run, and keep what it is drawn from.

    python benchmarks/curve.py runs/cgrseg-t-camvid docs/cgrseg-t-camvid

reads `metrics.jsonl` of the run and writes `docs/cgrseg-t-camvid.png` and a thinned log, `docs/cgrseg-t-camvid.jsonl`.
Needs matplotlib: pip install 'cgrseg[plot]'.
"""

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot as plt

from cgrseg.training.events import read_events

EVERY = 25
"""Steps between the losses that are kept."""


def events_by_step(run: Path) -> dict[int, dict[str, dict]]:
    """The last event of each kind at each step: a resumed run repeats some."""
    events: dict[int, dict[str, dict]] = {}
    for event in read_events(run):
        events.setdefault(event["step"], {})[event["event"]] = event
    return dict(sorted(events.items()))


def thin(events: dict[int, dict[str, dict]]) -> list[dict]:
    """Every evaluation, and the mean loss over each `EVERY` steps."""
    kept, losses = [], []
    for step, at_step in events.items():
        if "stepped" in at_step:
            losses.append(at_step["stepped"]["loss"])
        if step and step % EVERY == 0 and losses:
            kept.append({"event": "loss", "step": step, "loss": round(sum(losses) / len(losses), 4)})
            losses = []
        if "scored" in at_step:
            kept.append(at_step["scored"])
    return kept


def draw(rows: list[dict], path: Path) -> None:
    """Loss above, scores below, over the steps."""
    losses = [row for row in rows if row["event"] == "loss"]
    scores = [row for row in rows if row["event"] == "scored"]
    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
    above.plot([row["step"] for row in losses], [row["loss"] for row in losses], color="#30638e", linewidth=1.2)
    above.set_ylabel(f"training loss (mean of {EVERY} steps)")
    values = [100 * (row.get("headline") or row["miou"]) for row in scores]
    below.plot([row["step"] for row in scores], values, "o-", color="#d1495b", ms=3)
    mean = " (mean of the sources)" if scores[-1].get("by_source") else ""
    below.set_ylabel(f"mIoU on {scores[0]['split']}{mean}, %")
    below.set_xlabel("optimizer steps")
    below.annotate(f"{values[-1]:.1f}", (scores[-1]["step"], values[-1]), xytext=(0, 6), textcoords="offset points")
    for axes in (above, below):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main(run: Path, target: Path) -> None:
    """Write the image and the thinned log."""
    rows = thin(events_by_step(run))
    target.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    draw(rows, target.with_suffix(".png"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
