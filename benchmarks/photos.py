"""What a person with some 200 labelled photos gets: `cgrseg train` without a recipe, from ImageNet or street weights.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/photos.py OUT --camvid CamVid --coco FOLDER [FOLDER...] [--json FILE]

    CamVid      200 frames of train with five classes made of the eleven, scored on val; the other 167 are unlabelled
    COCO-Stuff  every image of FOLDERs with six classes, in a folder without splits: the plan splits it by content

Each is learnt as planned (size `lite` from ImageNet weights) and from `cgrseg-t-camvid`, one after the other. A run
that was stopped goes on with the same command; one that has its verdict is not repeated. Minutes are added up over all
that it took. `--street-steps` and `--scenes-steps` replace the planned number of steps and make five evaluations
instead of ten.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

import cgrseg
from cgrseg.classes import published
from cgrseg.config import Merge
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.images import write_palette_png
from cgrseg.metrics import scores

START = "cgrseg-t-camvid"
LABELLED = 200
EVALUATIONS = 5
"""Of a run of fewer steps than planned; the plan has ten, which cost as much as a third of 300 steps."""
STREET: Merge = {
    "ground": ("road", "pavement"),
    "structure": ("building", "fence", "pole", "signsymbol"),
    "vegetation": ("tree",),
    "sky": ("sky",),
    "moving": ("car", "pedestrian", "bicyclist"),
}
SCENES: Merge = {
    "sky": ("sky-other", "clouds"),
    "vegetation": ("tree", "grass", "bush", "plant-other", "leaves", "branch", "flower", "moss"),
    "building": ("building-other", "house", "skyscraper", "roof"),
    "person": ("person",),
    "road": ("road", "pavement"),
}
"""Everything else is `other`."""


def copy_pairs(dataset: LabelledImages, indices: list[int], root: Path, split: str) -> None:
    """Images as they are, and their labels by the new classes, below `root`."""
    for index in indices:
        pair = dataset.pairs[index]
        image, labels = root / "images" / split / pair.image.name, root / "annotations" / split / f"{pair.name}.png"
        for file in (image, labels):
            file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pair.image, image)
        write_palette_png(labels, dataset.labels(index), dataset.classes.colours)
    (root / "classes.txt").write_text("\n".join(dataset.classes.names) + "\n", encoding="utf-8")


def build_street(camvid: Path, root: Path) -> None:
    """200 frames of train evenly spaced, val, and the rest of train without labels."""
    train, val = (cgrseg.open_dataset("camvid", camvid, split, merge=STREET) for split in ("train", "val"))
    chosen = np.linspace(0, len(train) - 1, LABELLED).round().astype(int).tolist()
    copy_pairs(train, chosen, root, "train")
    copy_pairs(val, list(range(len(val))), root, "val")
    (root / "images/unlabelled").mkdir(parents=True, exist_ok=True)
    for index in sorted(set(range(len(train))) - set(chosen)):
        shutil.copy(train.pairs[index].image, root / "images/unlabelled")


def build_scenes(folders: list[Path], root: Path) -> None:
    """All images of all folders, not split."""
    named = {old for olds in SCENES.values() for old in olds}
    merge = SCENES | {"other": tuple(name for name in published("cocostuff164k").names if name not in named)}
    for folder in folders:
        for split in ("train", "val"):
            if (folder / "images" / f"{split}2017").is_dir():
                dataset = cgrseg.open_dataset("cocostuff164k", folder, split, merge=merge)
                copy_pairs(dataset, list(range(len(dataset))), root, "")


def train(data: Path, run: Path, start: str | None, steps: int | None) -> None:
    """One run, or the rest of it; what it printed and how long it took is in its folder."""
    if (run / "verdict.json").is_file():
        return
    if not (run / "states").is_dir():
        shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, "-m", "cgrseg", "train", "--data", f"folder={data}", "-o", str(run)]
    command += ["--resume"] if (run / "states").is_dir() else []
    command += ["--init", start] if start else []
    if steps:
        command += ["--set", f"train.steps={steps}", "--set", f"train.eval_every={max(steps // EVALUATIONS, 1)}"]
    print(" ".join(command), flush=True)
    output = run.with_suffix(".txt")
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with output.open("a", encoding="utf-8") as file:
        subprocess.run(command, stdout=file, stderr=file, check=False)  # noqa: S603  the command is ours
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = {
        "wall": (time.monotonic() - begin) / 60,
        "cpu": (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60,
    }
    kept = run / "minutes.json"
    known = json.loads(kept.read_text()) if kept.is_file() else {}
    kept.write_text(json.dumps({key: known.get(key, 0) + value for key, value in spent.items()}))


def score_start(camvid: Path) -> dict:
    """The yardstick: what the start itself scores on val when its answers are merged to the new classes."""
    dataset = cgrseg.open_dataset("camvid", camvid, "val")
    matrix = cgrseg.evaluate(cgrseg.load(START, engine="torch"), dataset).matrix
    indices = {old: index for index, olds in enumerate(STREET.values()) for old in olds}
    to = np.array([indices[name] for name in dataset.classes.names])
    merged = np.zeros((len(STREET), len(STREET)), np.int64)
    np.add.at(merged, (to[:, None], to[None, :]), matrix)
    found = scores(merged)
    return {"miou": found.miou, "iou": dict(zip(STREET, found.iou, strict=True))}


def summary(run: Path, data: Path, start: str | None) -> dict:
    """What is known of a run."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    scored = {event["step"]: event["miou"] for event in events if event["event"] == "scored"}
    verdict = run / "verdict.json"
    return {
        "data": data.name,
        "start": start or "imagenet",
        "seed": recipe["train"]["seed"],
        "steps": recipe["train"]["steps"],
        "miou_by_step": scored,
        "minutes": json.loads((run / "minutes.json").read_text()),
        "recipe": recipe,
        "verdict": json.loads(verdict.read_text()) if verdict.is_file() else None,
    }


def main() -> None:
    """Build, run and collect."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--camvid", type=Path, required=True)
    parser.add_argument("--coco", type=Path, nargs="+", required=True)
    parser.add_argument("--street-steps", type=int)
    parser.add_argument("--scenes-steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ |= {"CGRSEG_AUTO": "torch", "OMP_NUM_THREADS": str(options.threads)}
    street, scenes = options.output / "street", options.output / "scenes"
    if not street.is_dir():
        build_street(options.camvid, street)
    if not scenes.is_dir():
        build_scenes(options.coco, scenes)
    yardstick = options.output / "yardstick.json"
    if not yardstick.is_file():
        yardstick.write_text(json.dumps(score_start(options.camvid)))
    results = []
    for start in (None, START):
        for data, steps in ((street, options.street_steps), (scenes, options.scenes_steps)):
            run = options.output / "runs" / f"{data.name}-{start or 'imagenet'}"
            run.parent.mkdir(exist_ok=True)
            train(data, run, start, steps)
            results.append(summary(run, data, start))
            if options.json:
                report = {
                    "machine": {"cores": os.cpu_count(), "threads": options.threads},
                    "start_with_merged_answers": json.loads(yardstick.read_text()),
                    "runs": results,
                }
                options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
