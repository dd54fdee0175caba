"""Settings: frozen dataclasses that hold the defaults; a recipe in YAML (`recipes`) holds what differs.

A field is documented by the string under it. Defaults are the paper's (ADE20K, 160,000 steps of 16 images).
"""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

IMAGENET_MEAN = (123.675, 116.28, 103.53)
"""Mean of R, G, B on the scale 0..255, of the paper's normalisation."""
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Standard deviation of R, G, B on the scale 0..255, of the paper's normalisation."""

ModelSize = Literal["s0", "t", "b", "l", "lite"]
"""T, B and L of the paper; s0 and lite put T's decoder on the smallest EfficientFormerV2 and on EfficientNet-Lite2."""

EngineName = Literal["auto", "torch", "onnx", "openvino"]
EnginePrecision = Literal["fp32", "bf16", "fp16", "int8"]
ProtocolName = Literal["whole", "sliding", "multi-scale"]
ExportTarget = Literal["onnx", "openvino", "torch"]
BaselineName = Literal["plain", "segformer-b0", "segformer-b1", "segformer-b2"]
Kind = Literal[
    "camvid",
    "ade20k",
    "cocostuff10k",
    "cocostuff164k",
    "pascalcontext59",
    "pascalcontext60",
    "cityscapes",
    "voc2012",
    "folder",
]
"""The kinds of data set that have a reader."""

TalkBias = Literal["sum", "mean"]
"""What the bias after the softmax of attention is multiplied by."""

AttentionTables = Literal["resampled", "zero"]
"""What becomes of the attention tables of a backbone that a network starts from."""

DEFAULT_WEIGHTS = "cgrseg-lite-everyday"
"""The bundled weights that are taken where a user names none."""

HoldOut = str | tuple[str, ...]
"""Images of `train` that are scored and not learnt: by the beginning of their names, or by their names."""

Levels = tuple[float, float]
"""The values that are black and white in images of more than 8 bits a channel."""

Merge = dict[str, tuple[str | int, ...]]
"""New classes in order of label: names, or values in the label files, of the old ones; the key `ignore` drops."""

Meanings = dict[str, str | tuple[str, ...]]
"""What classes of a source are in the common classes: one, several that it may be, `rest` or `ignore`; `*` is any."""


@dataclass(frozen=True)
class Within:
    """The range of a setting, both ends included; multiples of `step` only, if there is one."""

    low: float | int
    high: float | int = math.inf
    step: int | None = None

    def __str__(self) -> str:
        size = f"at least {self.low:g}" if self.high == math.inf else f"{self.low:g} to {self.high:g}"
        return size if self.step is None else f"{size}, a multiple of {self.step}"

    def admits(self, value: float | int) -> bool:
        """Whether the value is in the range."""
        return self.low <= value <= self.high and (self.step is None or value % self.step == 0)


Count = Annotated[int, Within(1)]
Amount = Annotated[float, Within(0)]
Share = Annotated[float, Within(0, 1)]
Byte = Annotated[int, Within(0, 255)]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: one of the paper's sizes, and how it starts."""

    size: ModelSize = "t"
    """Which network: one of the paper's, or `lite`, which has no attention and none of its settings."""
    classes: Annotated[int, Within(1, 254)] = 150
    """Number of classes k."""
    position: Literal["offsets", "official"] = "offsets"
    """How the attention bias meets sizes other than `trained_px`: by offset, or as the released code does."""
    trained_px: Annotated[int, Within(32, step=32)] = 512
    """Side of the square images that the attention bias tables are made for (a multiple of 32)."""
    talk_bias: TalkBias = "sum"
    """What the bias of the talking heads weighs: the sum of the values over all tokens, as in the paper, which grows
    with the image, or their mean, times the tokens of `trained_px`."""
    batch_norm: Literal["trained", "frozen"] = "trained"
    """Whether the backbone's BatchNorm uses batch statistics in training, or its stored ones."""
    layer_scale: Amount = 1e-5
    """Start of the backbone's LayerScale; a `start.backbone` brings its own."""
    rcm_scale: Amount = 1e-6
    """Start of the scale of each RCM."""
    drop_path: Share | None = None
    """Largest drop path rate of the backbone, 0..1; null takes the size's own (0, 0.02, 0.1 for T, B, L)."""


ATTENTION_ONLY = frozenset({"position", "trained_px", "talk_bias", "layer_scale", "drop_path"})
"""Settings of `model` that say nothing to a backbone without attention and LayerScale."""
WITHOUT_ATTENTION: frozenset[ModelSize] = frozenset({"lite"})
"""Sizes whose backbone is such a one."""


def idle_settings(size: object) -> frozenset[str]:
    """Settings of `model` that say nothing to a network of this size."""
    return ATTENTION_ONLY if size in WITHOUT_ATTENTION else frozenset()


PRESETS = {
    "paper": {},
    "from_scratch": {"layer_scale": 0.1, "rcm_scale": 0.1, "talk_bias": "mean"},
}
"""Named starts for `model.preset` in a recipe: with the paper's tiny scales an untrained backbone learns slowly, and
what learns from crops degrades on images much larger than they are where the bias weighs a sum."""


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """The initial weights of the backbone; all other weights start at random."""

    backbone: str | None = None
    """A backbone of this size trained on ImageNet: `imagenet`, a file, or the id of a hub repository; null starts at
    random.

    `imagenet` is the installed package that brings it (the extra of that name), else its repository on the hub. Its
    LayerScale and BatchNorm come along, so `model.layer_scale` then says nothing.
    """
    attention_tables: AttentionTables = "resampled"
    """Its tables of the attention bias: resampled to the grid of `model.trained_px`, or zero, as the paper starts."""
    sha256: str | None = None
    """SHA-256 that the file must have; null takes any. A run writes down the one that it found."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """The data set, and the transforms of training."""

    kind: Kind = "folder"
    """The layout of the files; where they are is not part of a recipe."""
    hold_out: HoldOut = ""
    """Prefix of image names kept out of training, or a list of the names; the split `holdout` is exactly these."""
    merge: Merge = field(default_factory=dict)
    """New classes made of the data set's own, such as `{vehicle: [car, bus], ignore: [sky]}`; empty leaves them."""
    levels: Levels | None = None
    """The values that are black and white in images of more than 8 bits a channel, such as [0, 4095] for 12 bits; null
    takes 0 and 65535 for 16 bits, and for 32 bits and floats the smallest usual range. 8 bits keep their own."""
    classes: tuple[str, ...] = ()
    """The common classes of several `sources`, in order of label."""
    colours: tuple[tuple[Byte, Byte, Byte], ...] = ()
    """A colour for each of `classes`; empty makes distinct ones."""
    repeat_rare: Share = 0.0
    """Images of a class that occurs in less than this share of the images come more often: sqrt(this / its share) times
    as often, 8 times at most; 0 shows every image once in a pass."""
    fit_px: tuple[Count, Count] = (512, 2048)
    """Before scaling, an image is resized to fit this (short side, long side), keeping its aspect."""
    scale: tuple[Amount, Amount] = (0.5, 2.0)
    """Range of the random factor on top of `fit_px`."""
    crops_px: tuple[tuple[Count, Count], ...] = ((512, 512),)
    """Crop sizes (height, width); each step draws one of them for all its images."""
    crop_max_share: Share = 0.75
    """A crop is redrawn (10 times at most) while one class holds this share of its labelled pixels, or all of them."""
    flip: Share = 0.5
    """Probability of a horizontal flip."""
    photometric: bool = True
    """Random brightness, contrast, saturation and hue."""
    workers: Annotated[int, Within(0)] = 2
    """Processes that prepare images; 0 prepares them in the training process."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """One data set of several that are learnt as one."""

    kind: Kind = "folder"
    """The layout of its files."""
    share: Amount = 1.0
    """Its weight in drawing: one of 2 is drawn twice as often as one of 1, whatever their sizes."""
    classes: Meanings = field(default_factory=dict)
    """What its classes are in `data.classes`, such as `{background: [rest, plant], car: vehicle, dontcare: ignore}`.

    A list says that it may be any of these; `rest` stands for the common classes that no other class of this source is
    alone; `ignore` gives no label; `"*"` speaks for all that is not listed. Else a class keeps its name.
    """
    levels: Levels | None = None
    """As in `data`."""
    hold_out: HoldOut = ""
    """As in `data`: what is kept out of its training images and scored, in place of `val`."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The schedule and the optimizer."""

    steps: Count = 160_000
    """Optimizer steps of the whole run."""
    batch_size: Count = 16
    """Images per step over all processes."""
    accumulate: Count = 1
    """Parts of each process's share of a batch that go through the network one after the other, to save memory."""
    lr: Amount = 1.2e-4
    """Peak learning rate of AdamW."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """AdamW's decay rates of the first and second moments."""
    weight_decay: Amount = 0.01
    """AdamW's decoupled weight decay."""
    groups: Literal["paper", "matrices"] = "paper"
    """`paper`: ten times the rate for the head, some norms undecayed; `matrices`: one rate, only kernels decay."""
    backbone_lr_factor: Amount = 1.0
    """The backbone's learning rate as a factor of what `groups` gives it."""
    freeze_stages: Annotated[int, Within(0, 7)] = 0
    """The stem and so many of the backbone's first stages keep their weights and statistics; 0 freezes nothing."""
    warmup_steps: Annotated[int, Within(0)] = 1_500
    """Steps of the linear warm-up."""
    warmup_factor: Share = 1e-6
    """Where the warm-up starts, as a factor of the rate."""
    power: Amount = 1.0
    """Power of the polynomial decay to zero."""
    class_weights: Literal["none", "log", "soft"] = "none"
    """`log` weighs a class by 1 / ln(1.1 + its share of the labelled training pixels), `soft` by the root of that."""
    lovasz: Amount = 0.0
    """Factor of the Lovász-softmax loss beside cross-entropy: it counts a class of few pixels like a large one."""
    clip_norm: Amount | None = None
    """Largest norm of the gradient; null does not clip."""
    nonfinite: Literal["stop", "skip"] = "stop"
    """What a loss or gradient that is not finite does: end the run, or that step alone (10 in a row end the run)."""
    ema: Share | None = None
    """Decay of the moving average of the weights that is evaluated and saved; null keeps none."""
    eval_every: Count = 8_000
    """Steps between evaluations, after each of which the state is saved."""
    patience: Count | None = None
    """The run ends after so many evaluations in a row without a better score; null goes on to the last step."""
    save_every: Count | None = None
    """Steps between further saves of the state; null saves at evaluations only."""
    channels_last: bool = True
    """Memory layout of images and kernels; faster on most machines, same numbers up to rounding."""
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"
    """Arithmetic of forward and backward; weights and their updates stay fp32. fp16 scales the loss.

    `auto` is bf16 where the machine is measured to be faster in it, else fp32; a run writes down which.
    """
    compile: bool = False
    """Compile the step with torch.compile: minutes once for each crop size, then faster."""
    seed: Annotated[int, Within(0)] = 0
    """Seed of everything random in the run."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How an image is brought to the network's size; the label map always has the image's own."""

    short_px: Count = 512
    """Short side that the network sees; aspect is kept."""
    long_px: Count = 2048
    """Longest long side that the network sees; wins over `short_px`."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    start: StartConfig = field(default_factory=StartConfig)
    data: DataConfig = field(default_factory=DataConfig)
    sources: dict[str, SourceConfig] = field(default_factory=dict)
    """Several data sets that are learnt as one, by names of your choice; empty takes the one of `data.kind`."""
    train: TrainConfig = field(default_factory=TrainConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
