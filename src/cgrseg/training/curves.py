"""The course of a run as an image, drawn anew at each evaluation where matplotlib is installed."""

import importlib.util
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from cgrseg.files import replacing
from cgrseg.training.loggers import read_events

WINDOW = 0.05
"""The share of the steps that the smooth curve of the loss averages over."""


def draw_curves(folder: Path) -> None:
    """curves.png: loss, mIoU and learning rate over the steps; nothing where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    events = list(read_events(folder))
    stepped = [event for event in events if event["event"] == "stepped" and not event["skipped"]]
    scored = [event for event in events if event["event"] == "scored"]
    figure = Figure(figsize=(9, 3.2), layout="constrained", dpi=120)
    left, middle, right = figure.subplots(1, 3)
    steps, losses = (np.array([event[key] for event in stepped], np.float64) for key in ("step", "loss"))
    left.plot(steps, losses, color="#d9a5ad", linewidth=0.6)
    left.plot(steps, smooth(losses), color="#c8102e", linewidth=1.4)
    left.set(title="loss", xlabel="step")
    middle.plot([event["step"] for event in scored], [100 * event["miou"] for event in scored], "o-", color="#30638e")
    middle.set(title=f"mIoU on {scored[-1]['split']}, %" if scored else "mIoU, %", xlabel="step")
    right.plot(steps, [event["lr"] for event in stepped], color="#2a9d8f")
    right.set(title="learning rate", xlabel="step")
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    with replacing(folder / "curves.png") as unfinished:
        figure.savefig(unfinished, format="png")


def smooth(values: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """The mean of each value and its neighbours; at the ends of fewer."""
    half = int(WINDOW * len(values) / 2)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    low, high = (np.clip(np.arange(len(values)) + shift, 0, len(values)) for shift in (-half, half + 1))
    return (sums[high] - sums[low]) / (high - low)
