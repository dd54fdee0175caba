"""Compare ways to train from ImageNet weights: stages that stay frozen, and the learning rate of the backbone.

    OMP_NUM_THREADS=1 python benchmarks/initialization.py OUT --data NAME=FOLDER... [--steps N] [--seeds 0 1 2]

Each trial is `cgrseg train --data folder=FOLDER` without a recipe, with a few settings changed; trials of one seed see
the same crops. Finished trials are kept in OUT, and the same command continues with the rest.
"""

import argparse
import json
import statistics
from pathlib import Path

import cgrseg
from cgrseg.advisor import plan

TRIALS = {
    "plan": (),
    "nothing frozen": ("train.freeze_stages=0",),
    "one rate": ("train.backbone_lr_factor=1.0",),
    "scratch": ("start.backbone=", "model.size=lite", "train.channels_last=false"),
}
"""Settings that each trial changes in the plan."""


def run(folder: Path, data: Path, steps: int, overrides: tuple[str, ...]) -> float:
    """The best mIoU of one trial, 0..1."""
    scored = folder / "best.json"
    if not scored.is_file():
        usual = (f"train.steps={steps}", f"train.eval_every={steps}", "train.patience=null", "data.workers=1")
        recipe = plan("folder", data, overrides=(*usual, *overrides)).recipe
        best = cgrseg.train(recipe, data, folder, resume=(folder / "states").is_dir())
        scored.write_text(json.dumps(cgrseg.load(best, engine="torch").info.scores))
    return next(iter(json.loads(scored.read_text()).values()))


def main() -> None:
    """Run all trials, seed by seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trials", nargs="+", default=list(TRIALS), choices=list(TRIALS))
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    for seed in options.seeds:
        for entry in options.data:
            name, _, folder = entry.partition("=")
            for trial in options.trials:
                place = options.output / f"{name}-{trial.replace(' ', '-')}-{seed}"
                settings = (f"train.seed={seed}", *TRIALS[trial])
                miou = run(place, Path(folder), options.steps, settings)
                found.setdefault(name, {}).setdefault(trial, []).append(miou)
                print(f"{name}, {trial}, seed {seed}: {100 * miou:.1f}", flush=True)
    (options.output / "starts.json").write_text(json.dumps({"steps": options.steps, "miou": found}, indent=1) + "\n")
    for name, trials in found.items():
        for trial, values in trials.items():
            listed = ", ".join(f"{100 * value:.1f}" for value in values)
            print(f"{name:10} {trial:16} {100 * statistics.mean(values):.1f}  ({listed})")


if __name__ == "__main__":
    main()
