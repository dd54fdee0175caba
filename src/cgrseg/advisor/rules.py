"""The choices of a plan: one small function for each, with its reason in a sentence.

    facts, recipe so far -- choice: settings, and why -- recipe so far -- next choice ...

The numbers come from this project's own runs (docs/experiments.md and your-photos.md), on CPUs; none was tuned finely.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cgrseg.config import PRESETS, WITHOUT_ATTENTION, HoldOut, ModelSize, Recipe, idle_settings
from cgrseg.config.parsing import as_tree
from cgrseg.data.split import Split
from cgrseg.recipes import as_option
from cgrseg.weights import WeightsInfo

RCM_SCALE = 0.1
"""Start of the RCMs' scale: with the paper's 1e-6 a decoder learns later."""
FROZEN_STAGES = 2
"""Stages of an ImageNet backbone that keep their weights, with the stem."""
BACKBONE_FACTOR = 0.3
"""Its learning rate as a factor of the decoder's."""
PX = 32
"""Sides are multiples of this: the network halves an image five times."""
SHORT_PX = {True: 384, False: 512}
"""Short side of an image in training, on a CPU and elsewhere."""
ENLARGED = 1.5
"""An image smaller than that is enlarged by so much at most."""
ELONGATED = 1.5
"""Sides of a crop differ by this factor at most."""
UNBALANCED = 5.0
"""Classes are unbalanced if the largest has so many times the pixels of the smallest."""
SCORINGS = 10
"""Evaluations of a whole run."""
PATIENCE = 4
"""Evaluations without a better score after which a run ends."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the choices depend on."""

    learnt: int
    """Images to learn from."""
    scored: int
    """Images to score on."""
    split: Split | None
    """How they were told apart, where the data has no split of its own."""
    hold_out: HoldOut
    leaked: int
    """Images to score on that the weights to start from have learnt."""
    sides: tuple[int, int]
    """Median short and long side of the images, in pixels."""
    upright: float
    """Share of the images that are higher than wide."""
    classes: tuple[str, ...]
    shares: tuple[float, ...]
    """Of the labelled pixels, class by class."""
    start: tuple[str, WeightsInfo] | None
    """The name of the weights to start from, and what they say about themselves."""
    size: ModelSize = "lite"
    """The network that was asked for, or the usual one."""
    no_imagenet: str = ""
    """Why its ImageNet weights cannot be had; empty where they can."""
    is_cpu: bool
    cores: int
    halves: bool
    """Whether bf16 is faster than fp32."""


@dataclass(frozen=True)
class Choice:
    """Some settings, and why they are so."""

    settings: Mapping[str, object]
    """By their names, such as `train.steps`."""
    reason: str
    given: frozenset[str] = frozenset()
    """Those that the user gave."""

    def settled(self, recipe: Recipe, given: frozenset[str]) -> "Choice":
        """The same with the values that the recipe has after all."""
        values = {name: getattr(getattr(recipe, section), key) for name, section, key in _parts(self.settings)}
        return replace(self, settings=values, given=given)

    def __str__(self) -> str:
        if not self.given:
            return self.reason
        if self.given == self.settings.keys():
            return "as you set"
        return f"{self.reason}; {', '.join(sorted(self.given))} as you set"


def _parts(settings: Mapping[str, object]) -> list[tuple[str, str, str]]:
    return [(name, *name.split(".")) for name in settings]  # type: ignore[misc]


def choose_split(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Which images are scored."""
    counts = f"{facts.learnt:,} images to learn from, {facts.scored:,} to score on"
    if facts.leaked:
        counts += f" (of which the start has learnt {facts.leaked:,} already: the score will flatter)"
    if not facts.hold_out:
        return Choice({}, f"{counts}: your own val")
    if facts.split is None:
        return Choice({"data.hold_out": facts.hold_out}, counts)
    alike = f"{counts}, split by content: {facts.split.scenes:,} scenes, look-alikes together"
    lone = f"; only on one side: {', '.join(facts.split.one_sided)}" if facts.split.one_sided else ""
    return Choice({"data.hold_out": facts.hold_out}, alike + lone + _told_of(facts.split.videos))


def _told_of(videos: tuple[str, ...] | None) -> str:
    """A word on images that follow each other like frames, of which a split by content keeps too few together."""
    if videos is None:
        return ""
    advice = "put another video, or the last part of this one, into images/val and annotations/val"
    if videos:
        advice = f"hold out a whole one of the {len(videos)}, as in {as_option('data.hold_out', videos[0])}"
    return f"; neighbours by name look alike, as frames of a video do, so the score will flatter: {advice}"


def choose_start(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """The network, and how it starts."""
    if facts.start is not None:
        name, info = facts.start
        kept = [label for label in facts.classes if label in info.classes.names]
        known = f"keeps what it knows of {', '.join(kept)}" if kept else "none of its classes has a name of yours"
        settings = {f"model.{key}": value for key, value in as_tree(info.model).items() if key != "classes"}
        return Choice(settings, f"starts from {name}: {known}")
    if not facts.no_imagenet:
        network = {"model.size": facts.size, "model.rcm_scale": RCM_SCALE, "start.backbone": "imagenet"}
        return Choice(network, "a backbone that knows ImageNet learns more from few images than any other start")
    idle = idle_settings(facts.size)
    preset = {f"model.{key}": value for key, value in PRESETS["from_scratch"].items() if key not in idle}
    lost = f"from scratch, which costs much (109 photos of scenes reached 24 % mIoU instead of 35): {facts.no_imagenet}"
    return Choice({"model.size": facts.size, **preset}, lost)


def choose_training_of_backbone(facts: Facts, recipe: Recipe) -> Choice:
    """How much of what the backbone knows is kept."""
    if recipe.start.backbone is None or facts.start is not None:
        return Choice({"train.freeze_stages": 0, "train.backbone_lr_factor": 1.0}, "all of it learns")
    settings = {"train.freeze_stages": FROZEN_STAGES, "train.backbone_lr_factor": BACKBONE_FACTOR}
    return Choice(settings, "edges and colours are known already, and steps are quicker so; the rest moves slowly")


def choose_size(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """How large the network sees an image, in training and after."""
    short, long = facts.sides
    limit = SHORT_PX[facts.is_cpu]
    if facts.start is not None:
        limit = min(limit, rounded(facts.start[1].inference.short_px))
    side = max(PX, min(limit, int(short * ENLARGED) // PX * PX))
    settings = {"data.fit_px": [side, 2048], "data.scale": [0.75, 1.75], "inference.short_px": side}
    return Choice(settings, f"images are {short} x {long} (median); time grows with the area")


def choose_crops(facts: Facts, recipe: Recipe) -> Choice:
    """What training cuts out of an image."""
    side = rounded(recipe.data.fit_px[0])
    short, long = facts.sides
    stretch = min(long / short, ELONGATED)
    large = (side, rounded(side * stretch))
    shape = "wide"
    if facts.upright > 0.9:
        large, shape = large[::-1], "upright"
    elif facts.upright > 0.1:
        large, shape = (rounded(side * math.sqrt(stretch)),) * 2, "square, as some images are upright and some wide"
    small = tuple(rounded(length * 2 / 3) for length in large)
    reason = f"{shape}; large ones since networks fail above the size of their crops, small ones to save time"
    return Choice({"data.crops_px": [list(small), list(large)]}, reason)


def choose_batch(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Images per step, and who prepares them."""
    size, why = (4, "more steps for the same work") if facts.is_cpu else (16, "a GPU has the memory")
    settings = {"train.batch_size": min(size, facts.learnt), "data.workers": min(2, facts.cores)}
    return Choice(settings, why)


def choose_rate(facts: Facts, recipe: Recipe) -> Choice:
    """The learning rate."""
    rate, why = (1e-3, "what worked from scratch") if facts.start is None else (4e-4, "lower, to keep what is known")
    if recipe.start.backbone is not None:
        rate, why = 8e-4, "what worked from ImageNet weights"
    return Choice({"train.lr": rate, "train.weight_decay": 0.05, "train.groups": "matrices"}, why)


def choose_steps(facts: Facts, recipe: Recipe) -> Choice:
    """How long."""
    start, (passes, least, most) = "from scratch", (60, 1_200, 8_000)
    if facts.start is not None:
        start, (passes, least, most) = "from weights", (20, 400, 4_000)
    elif recipe.start.backbone is not None:
        start, (passes, least, most) = "from ImageNet weights", (40, 800, 6_000)
    steps = min(max(facts.learnt * passes // recipe.train.batch_size, least), most)
    steps = math.ceil(steps / SCORINGS) * SCORINGS
    return Choice({"train.steps": steps}, f"{passes} passes {start}, within {least:,} to {most:,} steps")


def choose_warm_up(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """The first steps."""
    return Choice({"train.warmup_steps": min(recipe.train.steps // 20, 300)}, "a twentieth of the run")


def choose_class_weights(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Whether rare classes count more."""
    present = [share for share in facts.shares if share]
    ratio = max(present) / min(present)
    if ratio < UNBALANCED:
        return Choice(
            {"train.class_weights": "none"}, f"the largest class has {ratio:.1f} x the pixels of the smallest"
        )
    return Choice(
        {"train.class_weights": "log"}, f"rare classes count more: the largest has {ratio:,.0f} x the smallest"
    )


def choose_average(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """The moving average of the weights."""
    decay = round(1 - SCORINGS / recipe.train.steps, 4)
    return Choice({"train.ema": min(max(decay, 0.5), 0.999)}, "weights averaged over a tenth of the run score better")


def choose_scoring(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """When it is scored, and when it has learnt enough."""
    settings = {"train.eval_every": max(recipe.train.steps // SCORINGS, 1), "train.patience": PATIENCE}
    return Choice(settings, f"{SCORINGS} times; {PATIENCE} in a row without a better score end the run")


def choose_precision(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """The arithmetic."""
    if facts.halves:
        return Choice({"train.precision": "bf16"}, "measured: faster on this machine")
    return Choice({"train.precision": "fp32"}, "bf16 is not faster on this machine")


def choose_layout(facts: Facts, recipe: Recipe) -> Choice:
    """How tensors lie in memory."""
    is_last = not (facts.is_cpu and recipe.model.size in WITHOUT_ATTENTION)
    return Choice({"train.channels_last": is_last}, "measured: steps are quicker so")


def rounded(px: float | int) -> int:
    """The nearest multiple of `PX`."""
    return max(PX, int(px / PX + 0.5) * PX)


Chooser = Callable[[Facts, Recipe], Choice]
"""Makes a choice by the facts and the recipe so far."""

CHOICES: tuple[Chooser, ...] = (
    choose_split,
    choose_start,
    choose_training_of_backbone,
    choose_size,
    choose_crops,
    choose_batch,
    choose_rate,
    choose_steps,
    choose_warm_up,
    choose_class_weights,
    choose_average,
    choose_scoring,
    choose_precision,
    choose_layout,
)
"""In this order: later ones read what earlier ones settled."""
