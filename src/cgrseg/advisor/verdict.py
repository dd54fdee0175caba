"""Verdict on a finished run: its scores, how training went, and what to label next.

    run folder, data -- best weights on the held-out images -- IoU of each class, interval of mIoU, worst images
                     -- training labels ---------------------- classes that need more labels
                     -- log ---------------------------------- stopped early, overfitted, or still improving
                     -- unlabelled images -------------------- images to label next

Axes: k classes.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cgrseg.advisor.active_learning import Ranking, rank_unlabelled
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.folder import unlabelled_folder
from cgrseg.data.similarity import Bits, image_bits
from cgrseg.errors import CGRSegError
from cgrseg.evaluation import Evaluation, evaluate
from cgrseg.files import write_json
from cgrseg.metrics.bootstrap import Interval, interval
from cgrseg.predictor import Segmenter, load
from cgrseg.recipes import read_recipe
from cgrseg.training.events import read_events
from cgrseg.training.splits import Where, open_splits
from cgrseg.weights import open_weights, read_info

FEW = 20
"""A class in fewer training images is rare."""
FAIR, LOW = 0.7, 0.5
"""A rare class with a lower IoU than `FAIR`, and any class below `LOW`, needs more labels."""
ROUGH = 50
"""A score on fewer held-out images is rough."""
WORST = 5
"""Number of worst held-out images to name."""
NOTABLE = 0.01
"""Smallest difference of mIoU that counts as a change."""

Course = Literal["overfitted", "stopped", "rising", "level", "once"]
"""Course of the score: fell after its best; stopped early; rose to the end; levelled off; evaluated once."""


@dataclass(frozen=True, kw_only=True)
class ClassVerdict:
    """Scores and labels of one class."""

    name: str
    iou: float | None
    """None if no held-out image shows it."""
    images: int
    """Training images that on_progress it."""
    pixels: int
    """Number of its training pixels."""
    confused_with: str | None
    """The class that it is most often confused with, in either direction."""
    need: Literal["", "unlearnt", "unscored", "rare", "low"]
    """Why it needs more labels; empty if it does not."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Scores, course and advice of a finished run."""

    weights: Path
    split: str
    learnt: int
    """Number of training images."""
    scored: int
    """Number of held-out images."""
    leaked: int
    """Number of held-out images that the initial weights were trained on; these make the score too high."""
    looks: int
    """Number of evaluations among which the best weights were chosen, which makes the score slightly too high."""
    miou: float
    miou_interval: Interval | None
    classes: tuple[ClassVerdict, ...]
    course: Course
    best_step: int
    last_step: int
    steps: int
    """Planned steps of the run."""
    worst: tuple[tuple[str, float], ...]
    """Name and mIoU of the worst held-out images, lowest first."""
    ranking: Ranking | None
    """None if there are no unlabelled images."""

    @property
    def is_rough(self) -> bool:
        """Whether there are too few held-out images for an accurate score."""
        return self.scored < ROUGH

    def as_tree(self) -> dict:
        """Plain values for JSON; scores are 0..1."""
        tree = vars(self) | {"weights": str(self.weights), "rough": self.is_rough}
        tree["rules"] = {"few_pictures": FEW, "low_iou": LOW, "low_iou_if_few": FAIR, "rough_below_pictures": ROUGH}
        tree["classes"] = [vars(verdict) for verdict in self.classes]
        tree["worst"] = [{"name": name, "miou": miou} for name, miou in self.worst]
        del tree["ranking"]
        return tree | {"label_next": _ranking_tree(self.ranking)}


def _ranking_tree(ranking: Ranking | None) -> dict | None:
    if ranking is None:
        return None
    rows = [vars(candidate) | {"path": str(candidate.path)} for candidate in ranking.candidates]
    return vars(ranking) | {"candidates": rows}


def judge(
    run: Path,
    data: Where,
    *,
    unlabelled: Path | None = None,
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Judge a finished run and write verdict.json into its folder.

    Args:
        run: folder of the run.
        data: folder of its data set; for a recipe with sources, the folder of each source by its name.
        unlabelled: folder of unlabelled images; by default images/unlabelled of a data set of the kind `folder`.
        device: device of the network.
        on_progress: called with the number of images done and of all images, first of the held-out images, then of
            the unlabelled ones.

    Raises:
        CGRSegError: the run or its data cannot be read.
    """
    recipe, weights = read_recipe(run / "recipe.yaml"), run / "best.safetensors"
    images, held_out = open_splits(recipe, data)
    segmenter = load(weights, engine="torch", device=device)
    evaluation = evaluate(segmenter, held_out, on_progress)
    if unlabelled is None and isinstance(data, Path) and recipe.data.kind == "folder":
        unlabelled = unlabelled_folder(data)
    ranking = _rank(segmenter, unlabelled, (images, held_out), on_progress) if unlabelled else None
    course, scored_steps = _course(run, recipe.train.steps)
    verdict = Verdict(
        weights=weights,
        split=held_out.split,
        learnt=len(images),
        scored=len(held_out),
        leaked=_leaked(run, held_out),
        looks=len(scored_steps),
        miou=evaluation.scores.miou,
        miou_interval=interval(evaluation.resampled.miou),
        classes=_classes(evaluation, images),
        course=course,
        best_step=read_info(weights).step,
        last_step=max(scored_steps),
        steps=recipe.train.steps,
        worst=_worst(evaluation),
        ranking=ranking,
    )
    write_json(run / "verdict.json", verdict.as_tree())
    return verdict


def _leaked(run: Path, held_out: LabelledImages) -> int:
    """Number of held-out images that the initial weights of the run were trained on; 0 if that is not known."""
    run_info = run / "run.json"
    init = json.loads(run_info.read_text(encoding="utf-8"))["starts"][0]["init"] if run_info.is_file() else None
    try:
        trained_on = set(open_weights(init)[1].trained_on) if init else set()
    except CGRSegError:
        return 0
    return len(trained_on.intersection(held_out.fingerprints())) if trained_on else 0


def _rank(
    segmenter: Segmenter,
    folder: Path,
    labelled: tuple[LabelledImages, ...],
    on_progress: Callable[[int, int], None] | None,
) -> Ranking:
    def bits(item: tuple[LabelledImages, int]) -> Bits | None:
        dataset, index = item
        return image_bits(dataset.image(index))

    with ThreadPoolExecutor() as threads:
        known = list(threads.map(bits, [(dataset, index) for dataset in labelled for index in range(len(dataset))]))
    return rank_unlabelled(segmenter, folder, known, on_progress)


def _classes(evaluation: Evaluation, images: LabelledImages) -> tuple[ClassVerdict, ...]:
    counts = images.class_counts()
    matrix = evaluation.matrix
    confusions = matrix + matrix.T
    np.fill_diagonal(confusions, 0)
    verdicts = []
    for label, name in enumerate(evaluation.classes.names):
        is_shown = bool(matrix[label].any())
        other = int(confusions[label].argmax())
        shown_in = int((counts[:, label] > 0).sum())
        iou = evaluation.scores.iou[label] if is_shown else None
        verdicts.append(
            ClassVerdict(
                name=name,
                iou=iou,
                images=shown_in,
                pixels=int(counts[:, label].sum()),
                confused_with=evaluation.classes.names[other] if confusions[label, other] else None,
                need=_need(iou, shown_in),
            )
        )
    return tuple(verdicts)


def _need(iou: float | None, images: int) -> Literal["", "unlearnt", "unscored", "rare", "low"]:
    """Why a class needs more labels: in few images with an IoU below `FAIR`, or in any number with one below `LOW`."""
    if images == 0:
        return "unlearnt"
    if iou is None:
        return "unscored"
    if images < FEW and iou < FAIR:
        return "rare"
    return "low" if iou < LOW else ""


def _course(run: Path, steps: int) -> tuple[Course, dict[int, float]]:
    """The course of the score, and the score by step."""
    scored = {
        event["step"]: event.get("headline", event["miou"]) for event in read_events(run) if event["event"] == "scored"
    }
    scores = [scored[step] for step in sorted(scored)]
    best = max(scores)
    if scores[-1] < best - NOTABLE:
        return "overfitted", scored
    if max(scored) < steps:
        return "stopped", scored
    if len(scores) == 1:
        return "once", scored
    is_rising = scores[-1] - max(scores[:-1]) > NOTABLE / 2
    return ("rising" if is_rising else "level"), scored


def _worst(evaluation: Evaluation) -> tuple[tuple[str, float], ...]:
    own = evaluation.areas.image_miou()
    order = [int(index) for index in np.argsort(own, kind="stable") if not np.isnan(own[index])]
    return tuple((evaluation.names[index], float(own[index])) for index in order[:WORST])
