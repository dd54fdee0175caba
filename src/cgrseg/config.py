"""Settings: frozen dataclasses that hold the defaults, and the YAML recipes that hold what differs.

A field is documented by the string under it. Defaults are the paper's (ADE20K, 160,000 steps of 16 pictures).
"""

import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import yaml

from cgrseg.errors import RecipeError, reason

ModelSize = Literal["s0", "t", "b", "l"]
"""T, B and L of the paper; s0 puts T's decoder on the smallest EfficientFormerV2."""

Kind = Literal["camvid", "folder"]
"""The kinds of data set that have a reader."""

Settings = TypeVar("Settings")

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: one of the paper's sizes, and how it starts."""

    size: ModelSize = "t"
    """Which of the paper's networks."""
    classes: int = 150
    """Number of classes k."""
    position: Literal["offsets", "official"] = "offsets"
    """How the attention bias meets sizes other than `trained_px`: by offset, or as the released code does."""
    trained_px: int = 512
    """Side of the square pictures that the attention bias tables are made for (a multiple of 32)."""
    batch_norm: Literal["trained", "frozen"] = "trained"
    """Whether the backbone's BatchNorm uses batch statistics in training, or its stored ones."""
    layer_scale: float = 1e-5
    """Start of the backbone's LayerScale."""
    rcm_scale: float = 1e-6
    """Start of the scale of each RCM."""
    drop_path: float | None = None
    """Largest drop path rate of the backbone, 0..1; null takes the size's own (0, 0.02, 0.1 for T, B, L)."""


PRESETS = {
    "paper": {},
    "from_scratch": {"layer_scale": 0.1, "rcm_scale": 0.1},
}
"""Named starts for `model.preset` in a recipe: with the paper's tiny scales an untrained backbone learns slowly."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read, and what training sees of it."""

    kind: Kind = "folder"
    """The layout of the files; `--data KIND=PATH` says where they are."""
    hold_out: str = ""
    """Prefix of picture names kept out of training; the split `holdout` is exactly these."""
    fit_px: tuple[int, int] = (512, 2048)
    """Before scaling, a picture is resized to fit this (short side, long side), keeping its aspect."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random factor on top of `fit_px`."""
    crops_px: tuple[tuple[int, int], ...] = ((512, 512),)
    """Crop sizes (height, width); each step draws one of them for all its pictures."""
    crop_max_share: float = 0.75
    """A crop is redrawn (10 times at most) while one class holds this share of its labelled pixels, or all of them."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    photometric: bool = True
    """Random brightness, contrast, saturation and hue."""
    workers: int = 2
    """Processes that prepare pictures; 0 prepares them in the training process."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The schedule and the optimizer."""

    steps: int = 160_000
    """Optimizer steps of the whole run."""
    batch_size: int = 16
    """Pictures per step over all processes."""
    lr: float = 1.2e-4
    """Peak learning rate of AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's decay rates of the first and second moments."""
    weight_decay: float = 0.01
    """AdamW's decoupled weight decay."""
    groups: Literal["paper", "matrices"] = "paper"
    """`paper`: ten times the rate for the head, some norms undecayed; `matrices`: one rate, only kernels decay."""
    warmup_steps: int = 1_500
    """Steps of the linear warm-up."""
    warmup_factor: float = 1e-6
    """Where the warm-up starts, as a factor of the rate."""
    power: float = 1.0
    """Power of the polynomial decay to zero."""
    class_weights: Literal["none", "log"] = "none"
    """`log` weighs each class by 1 / ln(1.1 + its share of the labelled training pixels)."""
    clip_norm: float | None = None
    """Largest norm of the gradient; null does not clip."""
    ema: float | None = None
    """Decay of the moving average of the weights that is evaluated and saved; null keeps none."""
    eval_every: int = 8_000
    """Steps between evaluations and checkpoints."""
    channels_last: bool = True
    """Memory layout of pictures and kernels; faster on most machines, same numbers up to rounding."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of forward and backward; weights and their updates stay fp32."""
    compile: bool = False
    """Compile the step with torch.compile: minutes once for each crop size, then faster."""
    seed: int = 0
    """Seed of everything random in the run."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How a picture is brought to the network's size; the label map always has the picture's own."""

    short_px: int = 512
    """Short side that the network sees; aspect is kept."""
    long_px: int = 2048
    """Longest long side that the network sees; wins over `short_px`."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole training run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)


def read_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in a YAML file, with overrides like `train.steps=1000` on top.

    Raises:
        RecipeError: the file is missing or not YAML, or a key or value is not one of the fields above.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; those that ship are in the folder recipes/") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise RecipeError(f"{path.name}: not a YAML file: {reason(error)}") from None
    return parse_recipe(tree, path.name, overrides)


def parse_recipe(tree: object, name: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in a tree of plain values; `name` is what errors call it."""
    if not isinstance(tree, dict):
        raise RecipeError(f"{name}: a recipe is a mapping with the keys {', '.join(_names(Recipe))}")
    for override in overrides:
        tree = _overridden(tree, override)
    return parse(Recipe, tree, name)


def _overridden(tree: dict, override: str) -> dict:
    keys, equals, value = override.partition("=")
    path = keys.split(".")
    if not equals or len(path) != 2:
        raise RecipeError(f"--set {override}: write section.key=value, for example train.steps=1000")
    section = tree.get(path[0]) or {}
    return tree | {path[0]: section | {path[1]: yaml.safe_load(value)}}


def parse(kind: type[Settings], tree: object, where: str) -> Settings:
    """An instance of the dataclass `kind` from a tree of plain values; unknown keys and wrong types are errors."""
    if not isinstance(tree, dict):
        raise RecipeError(f"{where}: a mapping is needed here, not {tree!r}")
    if kind is ModelConfig and "preset" in tree:
        tree = _with_preset(tree, where)
    hints = typing.get_type_hints(kind)
    for key in tree:
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(hints)}"
            raise RecipeError(f"{where}: unknown key {key!r}; {advice}")
    values: dict[str, typing.Any] = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in tree.items()}
    return kind(**values)


def _with_preset(tree: dict, where: str) -> dict:
    preset = tree["preset"]
    if preset not in PRESETS:
        raise RecipeError(f"{where}: preset: {preset!r} is not one of {', '.join(PRESETS)}")
    return PRESETS[preset] | {key: value for key, value in tree.items() if key != "preset"}


def _convert(hint: object, value: object, where: str) -> object:
    """`value` as the type `hint` says, lists becoming tuples and whole numbers floats."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return parse(hint, value, where)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _convert(arguments[0], value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_tuple(arguments, tuple(value), where)
    if hint is float and isinstance(value, str):
        value = _number(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not arguments and type(value) is hint:
        return value
    raise RecipeError(f"{where}: {value!r} is not {_describe(hint)}")


def _number(text: str) -> float | str:
    """YAML reads 1e-3 as text; the number if it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def _convert_tuple(arguments: tuple, values: tuple, where: str) -> tuple:
    if arguments[-1] is Ellipsis:
        arguments = (arguments[0],) * len(values)
    if len(arguments) != len(values) or not values:
        raise RecipeError(
            f"{where}: {list(values)} has {len(values)} entries where {len(arguments) or 'some'} are needed"
        )
    return tuple(_convert(hint, value, where) for hint, value in zip(arguments, values, strict=True))


def _describe(hint: object) -> str:
    name = getattr(hint, "__name__", str(hint))
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(repr(choice) for choice in typing.get_args(hint))}"
    if typing.get_origin(hint) is tuple:
        return "a list"
    return {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}.get(name, name)


def _names(kind: type) -> list[str]:
    return [entry.name for entry in dataclasses.fields(kind)]


def as_tree(settings: "DataclassInstance") -> dict:
    """A dataclass as plain values that `parse` and YAML read back (tuples become lists)."""
    return {entry.name: _plain(getattr(settings, entry.name)) for entry in dataclasses.fields(settings)}


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_tree(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
