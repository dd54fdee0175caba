"""Where a run differs from the paper's: a recipe against a table of the published settings.

    recipe, its data set -- the published recipe for it -- each setting that differs ---+
                                                what this code does in its own way -----+-- deviations

The released code is a fork of mmsegmentation 0.27 and holds configurations for ADE20K only. For the paper's other data
sets, and for Cityscapes, the published recipe is the paper's with mmsegmentation's sizes and steps for that data set.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from cgrseg.config import (
    DataConfig,
    InferenceConfig,
    Kind,
    ModelConfig,
    ModelSize,
    Recipe,
    StartConfig,
    TrainConfig,
    idle_settings,
)


@dataclass(frozen=True)
class Deviation:
    """One way in which a run differs from the published one."""

    about: str
    """The setting, as `--set` takes it, or what else differs."""
    here: str
    there: str
    remark: str = ""
    """What the difference means."""

    def __str__(self) -> str:
        remark = f"; {self.remark}" if self.remark else ""
        return f"{self.about}: {self.here} instead of {self.there}{remark}"


@dataclass(frozen=True)
class Comparison:
    """A recipe beside the published one."""

    source: str
    """What it was compared with."""
    settings: tuple[Deviation, ...]
    """Settings of the recipe that differ."""
    always: tuple[Deviation, ...]
    """What differs whatever the recipe says."""


MODEL = ModelConfig(position="official")
START = StartConfig(attention_tables="zero")
"""Its backbone has several published copies, so `_choices` only asks whether there is one."""
SHORT_TRAINING = TrainConfig(steps=80_000)

PUBLISHED: dict[Kind, tuple[str, Recipe]] = {
    "ade20k": (
        "the paper's released configuration for ADE20K",
        Recipe(model=MODEL, start=START, data=DataConfig(kind="ade20k")),
    ),
    "cocostuff10k": (
        "the paper's optimizer with mmsegmentation's settings for COCO-Stuff 10k (the authors released none)",
        Recipe(model=MODEL, start=START, data=DataConfig(kind="cocostuff10k"), train=SHORT_TRAINING),
    ),
    "pascalcontext59": (
        "the paper's optimizer with mmsegmentation's settings for Pascal Context (the authors released none)",
        Recipe(
            model=MODEL,
            start=START,
            data=DataConfig(kind="pascalcontext59", fit_px=(520, 520), crops_px=((480, 480),)),
            train=SHORT_TRAINING,
            inference=InferenceConfig(short_px=520, long_px=520),
        ),
    ),
    "cityscapes": (
        "the paper's optimizer with mmsegmentation's settings for Cityscapes (which the paper does not report)",
        Recipe(
            model=MODEL,
            start=START,
            data=DataConfig(kind="cityscapes", fit_px=(1024, 2048), crops_px=((512, 1024),)),
            train=TrainConfig(batch_size=8),
            inference=InferenceConfig(short_px=1024, long_px=2048),
        ),
    ),
}
"""For each data set, where its settings were published, and the settings."""

DROP_PATH: dict[ModelSize, float] = {"t": 0.0, "b": 0.02, "l": 0.1}
"""The paper's sizes and their drop path."""

OTHER_NETWORKS: dict[ModelSize, str] = {
    "s0": "the paper has no network with this backbone",
    "lite": "its backbone is EfficientNet-Lite2, not the paper's EfficientFormerV2, so the paper has no score for it",
}
"""What tells the other sizes from the paper's."""

INDIFFERENT = frozenset(
    {
        "model.size",
        "model.classes",
        "model.drop_path",
        "start.backbone",
        "start.sha256",
        "data.kind",
        "data.workers",
        "train.eval_every",
        "train.patience",
        "train.channels_last",
        "train.compile",
        "train.seed",
    }
)
"""Settings that change no number but by chance or rounding, and those that `_choices` looks at."""

IMAGENET = "a backbone trained on ImageNet-1k"
WITHOUT_BACKBONE = "without it choose --set model.preset=from_scratch"

REMARKS = {
    "model.position": "equal in training on squares of trained_px, not on images of other sizes",
    "model.trained_px": "the attention bias has tables of another size",
    "model.talk_bias": "attention adds the same on images of any size, not more on larger ones",
    "model.batch_norm": "the released configurations train the backbone's BatchNorm, synchronised over the processes",
    "model.layer_scale": "a larger start lets a backbone without ImageNet weights learn",
    "start.attention_tables": "the paper's network learns them anew for its own grid",
    "model.rcm_scale": "a larger start lets a decoder learn sooner",
    "data.hold_out": "images of train are left out, and are those that are scored",
    "data.merge": "other classes; the mIoU cannot be compared",
    "train.batch_size": "BatchNorm sees as many images at a time",
    "train.groups": "other learning rates and weight decays for the same lr and weight_decay",
    "train.lovasz": "a surrogate of 1 - IoU is added to cross-entropy",
    "train.ema": "an average of the weights is scored and saved",
    "train.precision": "arithmetic of forward and backward",
    "inference.short_px": "size of the images that are scored",
    "inference.long_px": "size of the images that are scored",
}
"""What a difference means, where its name does not say."""

ALWAYS = (
    Deviation(
        "loss",
        "mean over the labelled pixels of a batch",
        "their sum divided by the number of all pixels, also those without label",
        "crops with few labels weigh more here, and gradients are larger where much is unlabelled",
    ),
    Deviation(
        "data order",
        "a permutation of all images in each pass, from the seed and the pass alone",
        "one of which each of four processes takes its part",
        "random numbers differ everywhere, also those of crops and weights",
    ),
    Deviation(
        "label map",
        "logits upsampled once, to the size of the image,",
        "twice, the first time to the size that the network saw",
        "99.7 % of the labels are the same",
    ),
)
"""What this code does in its own way, whatever the recipe says."""


def compare_with_published(recipe: Recipe) -> Comparison:
    """All ways in which a run of a recipe differs from the published one for its data set."""
    source, published = PUBLISHED.get(recipe.data.kind, PUBLISHED["ade20k"])
    settings = [*_choices(recipe)]
    if recipe.sources:
        settings.append(Deviation("sources", ", ".join(recipe.sources), "one data set", "the mIoU cannot be compared"))
    for section in ("model", "start", "data", "train", "inference"):
        settings += _differences(section, getattr(recipe, section), getattr(published, section))
    idle = _idle(recipe)
    return Comparison(source, tuple(deviation for deviation in settings if deviation.about not in idle), ALWAYS)


def _idle(recipe: Recipe) -> set[str]:
    """Settings that say nothing to this recipe's network and start."""
    idle = {f"model.{name}" for name in idle_settings(recipe.model.size)}
    if idle or recipe.start.backbone is None:
        idle.add("start.attention_tables")
    if recipe.start.backbone is not None:
        idle.add("model.layer_scale")  # the file brings its own
    return idle


def _choices(recipe: Recipe) -> list[Deviation]:
    """Differences in what has several published values: data set, size, the drop path of a size, and the start."""
    size, rate, found = recipe.model.size, recipe.model.drop_path, list[Deviation]()
    if recipe.data.kind not in PUBLISHED:
        found.append(Deviation("data.kind", recipe.data.kind, _listed(PUBLISHED), "compared as if it were ade20k"))
    if size not in DROP_PATH:
        found.append(Deviation("model.size", size, _listed(DROP_PATH), OTHER_NETWORKS[size]))
    if rate is not None and rate != DROP_PATH.get(size, 0.0):
        found.append(Deviation("model.drop_path", f"{rate:g}", f"{DROP_PATH.get(size, 0.0):g}"))
    if recipe.start.backbone is None:
        ours, theirs = recipe.model, MODEL
        is_helped = ours.rcm_scale > theirs.rcm_scale if idle_settings(size) else ours.layer_scale > theirs.layer_scale
        remark = "" if is_helped else WITHOUT_BACKBONE
        found.append(Deviation("start.backbone", "none (random weights, or those of --init)", IMAGENET, remark))
    return found


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


Section = ModelConfig | StartConfig | DataConfig | TrainConfig | InferenceConfig


def _differences(name: str, here: Section, there: Section) -> list[Deviation]:
    """The settings of one section that differ."""
    found = []
    for field in fields(here):
        about, own, published = f"{name}.{field.name}", getattr(here, field.name), getattr(there, field.name)
        if own != published and about not in INDIFFERENT:
            found.append(Deviation(about, _shown(own), _shown(published), REMARKS.get(about, "")))
    return found


def _shown(value: object) -> str:
    """A value as a recipe has it."""
    if value is None or value in ("", {}, ()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return f"[{', '.join(_shown(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown(item)}' for key, item in value.items())}}}"
    return str(value)
