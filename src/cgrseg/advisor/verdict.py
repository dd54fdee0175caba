"""What a run was good for, in a form that tells what to do next.

    run folder, data -- best weights on the held-out images -- scores: of each class, how sure, the worst images
                     -- labels of training ----------------------- which classes need more
                     -- log ---------------------------------------- stopped, overfitted, or still getting better
                     -- images without labels -------------------- which to label next

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
from cgrseg.files import replacing
from cgrseg.metrics.bootstrap import Interval, interval
from cgrseg.predictor import Segmenter, load
from cgrseg.recipes import read_recipe
from cgrseg.training.loggers import read_events
from cgrseg.training.splits import Where, open_splits
from cgrseg.weights import open_weights, read_info

FEW = 20
"""Training images below which a class is called rare."""
FAIR, LOW = 0.7, 0.5
"""IoU below which a rare class, and any class, needs more labels."""
ROUGH = 50
"""Held-out images below which a score is called rough."""
WORST = 5
"""Held-out images that are named."""
NOTABLE = 0.01
"""Change of mIoU that is called one."""

Course = Literal["overfitted", "stopped", "rising", "level", "once"]
"""How the score went: fell after its best; got no better, and the run ended; rose to the end; neither; seen once."""

Show = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class ClassVerdict:
    """How a class came out."""

    name: str
    iou: float | None
    """None where no held-out image shows it."""
    images: int
    """Training images that show it."""
    pixels: int
    """Training pixels of it."""
    confused_with: str | None
    """The class that it is most often taken for, or that is taken for it."""
    need: Literal["", "unlearnt", "unscored", "rare", "low"]
    """Why it needs more labels, if it does."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a run was good for."""

    weights: Path
    split: str
    learnt: int
    """Images it learnt from."""
    scored: int
    """Images it was scored on."""
    leaked: int
    """Of these, the ones that the weights it started from had learnt; the score flatters."""
    looks: int
    """Times that they were looked at to choose the best weights, which flatters the score."""
    miou: float
    miou_interval: Interval | None
    classes: tuple[ClassVerdict, ...]
    course: Course
    best_step: int
    last_step: int
    steps: int
    """Of the whole run as it was planned."""
    worst: tuple[tuple[str, float], ...]
    """Held-out images with the lowest mIoU of their own."""
    ranking: Ranking | None
    """None where there are no images without labels."""

    @property
    def is_rough(self) -> bool:
        """Whether there are too few held-out images for more than a rough score."""
        return self.scored < ROUGH

    def as_tree(self) -> dict:
        """Plain values for JSON; scores are 0..1."""
        tree = vars(self) | {"weights": str(self.weights), "rough": self.is_rough}
        tree["rules"] = {"few_pictures": FEW, "low_iou": LOW, "low_iou_if_few": FAIR, "rough_below_pictures": ROUGH}
        tree["classes"] = [vars(each) for each in self.classes]
        tree["worst"] = [{"name": name, "miou": miou} for name, miou in self.worst]
        del tree["ranking"]
        return tree | {"label_next": _ranking_tree(self.ranking)}


def _ranking_tree(ranking: Ranking | None) -> dict | None:
    if ranking is None:
        return None
    rows = [vars(each) | {"path": str(each.path)} for each in ranking.candidates]
    return vars(ranking) | {"candidates": rows}


def judge(
    run: Path, data: Where, *, unlabelled: Path | None = None, device: str = "cpu", show: Show | None = None
) -> Verdict:
    """Judge the run in a folder, and write verdict.json there.

    Args:
        run: the folder of the run.
        data: the folder of its data set, or of each of its sources by name.
        unlabelled: images without labels; a data set of the kind `folder` may hold some in images/unlabelled.
        device: where the network runs.
        show: called with the images done, and all of them.

    Raises:
        CGRSegError: the run or its data cannot be read.
    """
    recipe, weights = read_recipe(run / "recipe.yaml"), run / "best.safetensors"
    images, held_out = open_splits(recipe, data)
    segmenter = load(weights, engine="torch", device=device)
    evaluation = evaluate(segmenter, held_out, show)
    if unlabelled is None and isinstance(data, Path) and recipe.data.kind == "folder":
        unlabelled = unlabelled_folder(data)
    ranking = _rank(segmenter, unlabelled, (images, held_out), show) if unlabelled else None
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
    with replacing(run / "verdict.json") as unfinished:
        unfinished.write_text(json.dumps(verdict.as_tree(), indent=2) + "\n", encoding="utf-8")
    return verdict


def _leaked(run: Path, held_out: LabelledImages) -> int:
    """The held-out images that the weights at the run's start had learnt; 0 also where that is not known."""
    about = run / "run.json"
    init = json.loads(about.read_text(encoding="utf-8"))["starts"][0]["init"] if about.is_file() else None
    try:
        learnt = set(open_weights(init)[1].trained_on) if init else set()
    except CGRSegError:
        return 0
    return len(learnt.intersection(held_out.fingerprints())) if learnt else 0


def _rank(segmenter: Segmenter, folder: Path, labelled: tuple[LabelledImages, ...], show: Show | None) -> Ranking:
    def bits(place: tuple[LabelledImages, int]) -> Bits | None:
        return image_bits(place[0].image(place[1]))

    with ThreadPoolExecutor() as threads:
        known = list(threads.map(bits, [(dataset, place) for dataset in labelled for place in range(len(dataset))]))
    return rank_unlabelled(segmenter, folder, known, show)


def _classes(evaluation: Evaluation, images: LabelledImages) -> tuple[ClassVerdict, ...]:
    counts = images.class_counts()
    matrix = evaluation.matrix
    mistaken = matrix + matrix.T
    np.fill_diagonal(mistaken, 0)
    verdicts = []
    for label, name in enumerate(evaluation.classes.names):
        is_shown = bool(matrix[label].any())
        other = int(mistaken[label].argmax())
        shown_in = int((counts[:, label] > 0).sum())
        iou = evaluation.scores.iou[label] if is_shown else None
        verdicts.append(
            ClassVerdict(
                name=name,
                iou=iou,
                images=shown_in,
                pixels=int(counts[:, label].sum()),
                confused_with=evaluation.classes.names[other] if mistaken[label, other] else None,
                need=_need(iou, shown_in),
            )
        )
    return tuple(verdicts)


def _need(iou: float | None, images: int) -> Literal["", "unlearnt", "unscored", "rare", "low"]:
    """Why a class needs more labels: few images and no good IoU, or a low IoU however many images."""
    if images == 0:
        return "unlearnt"
    if iou is None:
        return "unscored"
    if images < FEW and iou < FAIR:
        return "rare"
    return "low" if iou < LOW else ""


def _course(run: Path, steps: int) -> tuple[Course, dict[int, float]]:
    """How the score went, and the score by step."""
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
    order = [int(place) for place in np.argsort(own, kind="stable") if not np.isnan(own[place])]
    return tuple((evaluation.names[place], float(own[place])) for place in order[:WORST])
