"""Deviations of a recipe from the published settings of the paper.

    recipe -- published recipe for its data set -- settings that differ ----+
                       differences between this code and the authors' ------+-- Comparison

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

    name: str
    """Name of the setting, such as `train.steps`, or of another aspect."""
    value: str
    published: str
    remark: str = ""
    """What the difference implies; may be empty."""

    def __str__(self) -> str:
        remark = f"; {self.remark}" if self.remark else ""
        return f"{self.name}: {self.value} instead of {self.published}{remark}"


@dataclass(frozen=True)
class Comparison:
    """A recipe compared with the published one."""

    source: str
    """Description of the published recipe."""
    settings: tuple[Deviation, ...]
    """Settings of the recipe that differ."""
    always: tuple[Deviation, ...]
    """Differences that no setting can remove."""


MODEL = ModelConfig(position="official")
START = StartConfig(attention_tables="zero")
"""Its backbone has several published copies, so `_special_differences` only checks that there is one."""
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
"""Description and recipe of the published settings, by data set."""

DROP_PATH: dict[ModelSize, float] = {"t": 0.0, "b": 0.02, "l": 0.1}
"""Drop path of the paper's sizes."""

OTHER_NETWORKS: dict[ModelSize, str] = {
    "s0": "the paper has no network with this backbone",
    "lite": "its backbone is EfficientNet-Lite2, not the paper's EfficientFormerV2, so the paper has no score for it",
}
"""How the other sizes differ from the paper's."""

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
"""Settings that change results only by chance or rounding, and those that `_special_differences` compares."""

IMAGENET = "a backbone trained on ImageNet-1k"
WITHOUT_BACKBONE = "without it choose model.preset=from_scratch"

REMARKS = {
    "model.position": "equal in training on squares of trained_px, not on images of other sizes",
    "model.trained_px": "the attention bias has tables of another size",
    "model.talk_bias": "attention adds the same on images of any size, not more on larger ones",
    "model.batch_norm": "the released configurations train the backbone's BatchNorm, synchronised over the processes",
    "model.layer_scale": "a larger initial value lets a backbone without ImageNet weights learn",
    "start.attention_tables": "the paper's network learns them from zero for its own grid",
    "model.rcm_scale": "a larger initial value lets the decoder learn sooner",
    "data.hold_out": "images of train are held out, and the score is on them",
    "data.merge": "other classes; the mIoU is not comparable",
    "train.batch_size": "BatchNorm sees this many images at a time",
    "train.groups": "other learning rates and weight decays per parameter at the same lr and weight_decay",
    "train.lovasz": "a surrogate of 1 - IoU is added to cross-entropy",
    "train.ema": "a moving average of the weights is evaluated and saved",
    "train.precision": "precision of the forward and backward pass",
    "inference.short_px": "size of the images in evaluation",
    "inference.long_px": "size of the images in evaluation",
}
"""What a difference implies, where the name of the setting does not say it."""

ALWAYS = (
    Deviation(
        "loss",
        "mean over the labelled pixels of a batch",
        "their sum divided by the number of all pixels, labelled or not",
        "crops with few labels weigh more here, and gradients are larger where much is unlabelled",
    ),
    Deviation(
        "data order",
        "a permutation of all images per epoch that depends on the seed and the epoch alone",
        "a permutation that is divided among four processes",
        "all random numbers differ, including those of crops and weights",
    ),
    Deviation(
        "label map",
        "logits upsampled once, to the size of the image,",
        "twice, first to the size of the network's input",
        "99.7 % of the labels are the same",
    ),
)
"""Differences between this code and the authors', independent of the recipe."""


def compare_with_published(recipe: Recipe) -> Comparison:
    """Compare a recipe with the published one for its data set; with that for ADE20K if there is none."""
    source, published = PUBLISHED.get(recipe.data.kind, PUBLISHED["ade20k"])
    settings = [*_special_differences(recipe)]
    if recipe.sources:
        settings.append(Deviation("sources", ", ".join(recipe.sources), "one data set", "the mIoU is not comparable"))
    for section in ("model", "start", "data", "train", "inference"):
        settings += _differences(section, getattr(recipe, section), getattr(published, section))
    idle = _idle(recipe)
    return Comparison(source, tuple(deviation for deviation in settings if deviation.name not in idle), ALWAYS)


def _idle(recipe: Recipe) -> set[str]:
    """Settings that have no effect with this recipe's network and start."""
    idle = {f"model.{name}" for name in idle_settings(recipe.model.size)}
    if idle or recipe.start.backbone is None:
        idle.add("start.attention_tables")
    if recipe.start.backbone is not None:
        idle.add("model.layer_scale")  # the file of the backbone has its own
    return idle


def _special_differences(recipe: Recipe) -> list[Deviation]:
    """Differences in settings with several published values: data set, size, drop path of the size, and start."""
    size, rate, result = recipe.model.size, recipe.model.drop_path, list[Deviation]()
    if recipe.data.kind not in PUBLISHED:
        result.append(
            Deviation("data.kind", recipe.data.kind, _listed(PUBLISHED), "compared with the settings for ade20k")
        )
    if size not in DROP_PATH:
        result.append(Deviation("model.size", size, _listed(DROP_PATH), OTHER_NETWORKS[size]))
    if rate is not None and rate != DROP_PATH.get(size, 0.0):
        result.append(Deviation("model.drop_path", f"{rate:g}", f"{DROP_PATH.get(size, 0.0):g}"))
    if recipe.start.backbone is None:
        ours, theirs = recipe.model, MODEL
        is_helped = ours.rcm_scale > theirs.rcm_scale if idle_settings(size) else ours.layer_scale > theirs.layer_scale
        remark = "" if is_helped else WITHOUT_BACKBONE
        result.append(Deviation("start.backbone", "none (random weights, or given ones)", IMAGENET, remark))
    return result


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


Section = ModelConfig | StartConfig | DataConfig | TrainConfig | InferenceConfig


def _differences(section: str, ours: Section, published: Section) -> list[Deviation]:
    """The settings of one section that differ."""
    result = []
    for field in fields(ours):
        name, value, original = f"{section}.{field.name}", getattr(ours, field.name), getattr(published, field.name)
        if value != original and name not in INDIFFERENT:
            result.append(Deviation(name, _format(value), _format(original), REMARKS.get(name, "")))
    return result


def _format(value: object) -> str:
    """A value as it is written in a recipe."""
    if value is None or value in ("", {}, ()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return f"[{', '.join(_format(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_format(item)}' for key, item in value.items())}}}"
    return str(value)
