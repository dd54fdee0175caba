"""Rules that derive the settings of a run from facts about the data, each with its reason.

    facts, recipe so far -- rule -- Choice: settings and reason -- recipe so far -- next rule ...

The numbers come from this project's own runs on CPUs (docs/experiments.md, docs/your-photos.md); none was tuned finely.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cgrseg.config import PRESETS, WITHOUT_ATTENTION, HoldOut, ModelSize, Recipe, idle_settings
from cgrseg.config.parsing import as_tree
from cgrseg.data.split import Split
from cgrseg.data.tones import DEPTHS, ToneRange, fit_levels
from cgrseg.recipes import as_override
from cgrseg.weights import WeightsInfo

RCM_SCALE = 0.1
"""Initial scale of the RCMs; with the paper's 1e-6 the decoder learns later."""
FROZEN_STAGES = 2
"""Stages of an ImageNet backbone that stay frozen, along with the stem."""
BACKBONE_FACTOR = 0.3
"""Learning rate of an ImageNet backbone as a fraction of the decoder's."""
PX = 32
"""Sides are multiples of this: the network bf16_is_faster an image five times."""
SHORT_PX = {"cpu": 384, "gpu": 512}
"""Short side of an image in training."""
MAX_ENLARGEMENT = 1.5
"""Smaller images are enlarged by this factor at most."""
MAX_ASPECT = 1.5
"""Largest ratio of the sides of a crop."""
UNBALANCED = 5.0
"""Classes are unbalanced if the largest has this many times the pixels of the smallest."""
EVALUATIONS = 10
"""Evaluations in a whole run."""
EARLY_STOPPING = 4
"""Consecutive evaluations without a better score after which a run ends."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts about the data, the start and the machine that the rules use."""

    learnt: int
    """Number of training images."""
    scored: int
    """Number of held-out images."""
    split: Split | None
    """The split by content, if the data has no split of its own."""
    hold_out: HoldOut
    leaked: int
    """Number of held-out images that the weights to start from were trained on."""
    sides: tuple[int, int]
    """Median short and long side of the images, in pixels."""
    portrait: float
    """Share of the images that are taller than wide, 0..1."""
    classes: tuple[str, ...]
    shares: tuple[float, ...]
    """Share of the labelled pixels, class by class, 0..1."""
    tones: tuple[ToneRange, ...] = ()
    """Of training images with more than 8 bits a channel."""
    start: tuple[str, WeightsInfo] | None
    """Name and metadata of the weights to start from."""
    size: ModelSize = "lite"
    """The requested size of the network, or the default."""
    no_imagenet: str = ""
    """Why its ImageNet weights are not available; empty if they are."""
    is_cpu: bool
    cores: int
    bf16_is_faster: bool
    """Whether bf16 is faster than fp32."""


@dataclass(frozen=True)
class Choice:
    """The settings of one rule, and the reason."""

    settings: Mapping[str, object]
    """Values by names such as `train.steps`."""
    reason: str
    given: frozenset[str] = frozenset()
    """Names of the settings that the user set."""

    def with_final_values(self, recipe: Recipe, given: frozenset[str]) -> "Choice":
        """A copy with the values that the recipe ended up with."""
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
    """Training and held-out images."""
    counts = f"{facts.learnt:,} images to train on, {facts.scored:,} to evaluate on"
    if facts.leaked:
        counts += f" (the initial weights were trained on {facts.leaked:,} of these: the score will be too high)"
    if not facts.hold_out:
        return Choice({}, f"{counts}: your own val")
    if facts.split is None:
        return Choice({"data.hold_out": facts.hold_out}, counts)
    by_content = f"{counts}, split by content: {facts.split.scenes:,} scenes, near-duplicates on the same side"
    one_sided = f"; only on one side: {', '.join(facts.split.one_sided)}" if facts.split.one_sided else ""
    return Choice({"data.hold_out": facts.hold_out}, by_content + one_sided + _video_warning(facts.split.videos))


def choose_levels(facts: Facts, recipe: Recipe) -> Choice:
    """Black and white of images with more than 8 bits a channel."""
    if not facts.tones:
        kept = "" if recipe.data.levels is None else ", so the data.levels that you set change nothing"
        return Choice({}, f"images have 8 bits a channel{kept}")
    low, high = min(each.low for each in facts.tones), max(each.high for each in facts.tones)
    levels = fit_levels(facts.tones)
    bits = f", as of {int(levels[1]).bit_length()} bits" if levels[0] == 0 and levels[1] in DEPTHS else ""
    nodata = ", without pixels that hold no data" if any(each.has_nodata for each in facts.tones) else ""
    reason = f"black and white; values are {low:,.6g} to {high:,.6g}{bits}{nodata}"
    return Choice({"data.levels": list(levels)}, reason)


def _video_warning(videos: tuple[str, ...] | None) -> str:
    """A warning if the images look like frames of videos, which a split by content does not keep together."""
    if videos is None:
        return ""
    advice = "put another video, or the last part of this one, into images/val and annotations/val"
    if videos:
        advice = f"hold out a whole one of the {len(videos)}, as in {as_override('data.hold_out', videos[0])}"
    return (
        f"; images with consecutive names look alike, like frames of a video, so the score will be too high: {advice}"
    )


def choose_start(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Network and initial weights."""
    if facts.start is not None:
        name, info = facts.start
        kept = [label for label in facts.classes if label in info.classes.names]
        classifier = (
            f"keeps its classifier for {', '.join(kept)}"
            if kept
            else "none of its classes has the name of one of yours"
        )
        settings = {f"model.{key}": value for key, value in as_tree(info.model).items() if key != "classes"}
        return Choice(settings, f"starts from {name}: {classifier}")
    if not facts.no_imagenet:
        network = {"model.size": facts.size, "model.rcm_scale": RCM_SCALE, "start.backbone": "imagenet"}
        return Choice(network, "an ImageNet backbone learns more from few images than any other start")
    idle = idle_settings(facts.size)
    preset = {f"model.{key}": value for key, value in PRESETS["from_scratch"].items() if key not in idle}
    reason = (
        f"from scratch, at a high price (109 photos of scenes reached 24 % mIoU instead of 35): {facts.no_imagenet}"
    )
    return Choice({"model.size": facts.size, **preset}, reason)


def choose_backbone_training(facts: Facts, recipe: Recipe) -> Choice:
    """Frozen stages and learning rate of the backbone."""
    if recipe.start.backbone is None or facts.start is not None:
        return Choice({"train.freeze_stages": 0, "train.backbone_lr_factor": 1.0}, "the whole network is trained")
    settings = {"train.freeze_stages": FROZEN_STAGES, "train.backbone_lr_factor": BACKBONE_FACTOR}
    return Choice(
        settings, "it already knows edges and colours, and frozen stages make steps faster; the rest changes slowly"
    )


def choose_size(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Size of the images in training and inference."""
    short, long = facts.sides
    limit = SHORT_PX["cpu" if facts.is_cpu else "gpu"]
    if facts.start is not None:
        limit = min(limit, rounded(facts.start[1].inference.short_px))
    side = max(PX, min(limit, int(short * MAX_ENLARGEMENT) // PX * PX))
    settings = {"data.fit_px": [side, 2048], "data.scale": [0.75, 1.75], "inference.short_px": side}
    return Choice(settings, f"images are {short} x {long} (median); time grows with the area")


def choose_crops(facts: Facts, recipe: Recipe) -> Choice:
    """Sizes of the crops in training."""
    side = rounded(recipe.data.fit_px[0])
    short, long = facts.sides
    stretch = min(long / short, MAX_ASPECT)
    large = (side, rounded(side * stretch))
    shape = "landscape"
    if facts.portrait > 0.9:
        large, shape = large[::-1], "portrait"
    elif facts.portrait > 0.1:
        large, shape = (
            (rounded(side * math.sqrt(stretch)),) * 2,
            "square, since some images are portrait and some landscape",
        )
    small = tuple(rounded(length * 2 / 3) for length in large)
    reason = f"{shape}; large ones since networks fail on images larger than their crops, small ones to save time"
    return Choice({"data.crops_px": [list(small), list(large)]}, reason)


def choose_batch(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Batch size and number of loader processes."""
    size, reason = (4, "more steps for the same work") if facts.is_cpu else (16, "a GPU has enough memory")
    settings = {"train.batch_size": min(size, facts.learnt), "data.workers": min(2, facts.cores)}
    return Choice(settings, reason)


def choose_rate(facts: Facts, recipe: Recipe) -> Choice:
    """Learning rate and weight decay."""
    rate, reason = (1e-3, "worked from scratch") if facts.start is None else (4e-4, "lower, to keep what was learnt")
    if recipe.start.backbone is not None:
        rate, reason = 8e-4, "worked from ImageNet weights"
    return Choice({"train.lr": rate, "train.weight_decay": 0.05, "train.groups": "matrices"}, reason)


def choose_steps(facts: Facts, recipe: Recipe) -> Choice:
    """Length of the run."""
    start, (epochs, least, most) = "from scratch", (60, 1_200, 8_000)
    if facts.start is not None:
        start, (epochs, least, most) = "from weights", (20, 400, 4_000)
    elif recipe.start.backbone is not None:
        start, (epochs, least, most) = "from ImageNet weights", (40, 800, 6_000)
    steps = min(max(facts.learnt * epochs // recipe.train.batch_size, least), most)
    steps = math.ceil(steps / EVALUATIONS) * EVALUATIONS
    return Choice({"train.steps": steps}, f"{epochs} epochs {start}, within {least:,} to {most:,} steps")


def choose_warm_up(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Length of the warm-up."""
    return Choice({"train.warmup_steps": min(recipe.train.steps // 20, 300)}, "a twentieth of the run")


def choose_class_weights(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Class weights of the loss."""
    present = [share for share in facts.shares if share]
    ratio = max(present) / min(present)
    if ratio < UNBALANCED:
        return Choice(
            {"train.class_weights": "none"}, f"the largest class has {ratio:.1f} x the pixels of the smallest"
        )
    return Choice(
        {"train.class_weights": "log"},
        f"rare classes count more: the largest has {ratio:,.0f} x the pixels of the smallest",
    )


def choose_average(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Moving average of the weights."""
    decay = round(1 - EVALUATIONS / recipe.train.steps, 4)
    return Choice({"train.ema": min(max(decay, 0.5), 0.999)}, "weights averaged over a tenth of the run score better")


def choose_evaluation(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Evaluations and early stopping."""
    settings = {"train.eval_every": max(recipe.train.steps // EVALUATIONS, 1), "train.patience": EARLY_STOPPING}
    return Choice(settings, f"{EVALUATIONS} evaluations; {EARLY_STOPPING} in a row without a better score end the run")


def choose_precision(facts: Facts, recipe: Recipe) -> Choice:  # noqa: ARG001
    """Precision."""
    if facts.bf16_is_faster:
        return Choice({"train.precision": "bf16"}, "measured to be faster on this machine")
    return Choice({"train.precision": "fp32"}, "bf16 is not faster on this machine")


def choose_layout(facts: Facts, recipe: Recipe) -> Choice:
    """Memory layout."""
    is_last = not (facts.is_cpu and recipe.model.size in WITHOUT_ATTENTION)
    return Choice({"train.channels_last": is_last}, "measured to give faster steps")


def rounded(px: float | int) -> int:
    """The nearest multiple of `PX`."""
    return max(PX, int(px / PX + 0.5) * PX)


Rule = Callable[[Facts, Recipe], Choice]
"""Derives settings from the facts and the recipe so far."""

RULES: tuple[Rule, ...] = (
    choose_split,
    choose_start,
    choose_backbone_training,
    choose_levels,
    choose_size,
    choose_crops,
    choose_batch,
    choose_rate,
    choose_steps,
    choose_warm_up,
    choose_class_weights,
    choose_average,
    choose_evaluation,
    choose_precision,
    choose_layout,
)
"""Applied in this order: later rules read the settings of earlier ones."""
