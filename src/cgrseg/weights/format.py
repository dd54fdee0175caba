"""The weights format: safetensors whose metadata describes them completely.

The metadata of every file of ours (safetensors, ONNX, OpenVINO) holds `format` ("cgrseg"), `version` (of the format)
and `info` (JSON of `WeightsInfo`).
"""

import dataclasses
import json
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cgrseg.classes import ClassTable
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, InferenceConfig, Levels, ModelConfig, Recipe
from cgrseg.config.parsing import as_tree, convert, parse
from cgrseg.errors import CheckpointError, RecipeError, reason
from cgrseg.files import replacing
from cgrseg.model import CGRSeg, build_model

FORMAT, VERSION = "cgrseg", 1
LONGEST = 1000
"""Characters of the name of a class."""
LARGEST = 1_000_000
"""Of the numbers of a description, and of their inverses; what is beyond is a mistake, and overflows."""


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """Everything but the tensors: nobody passes a config beside a weights file."""

    model: ModelConfig
    classes: ClassTable
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    recipe: Recipe | None = None
    """The recipe they were trained by; none for foreign weights."""
    scores: dict[str, float] = field(default_factory=dict)
    """Such as {"val/miou": 0.66}; 0..1."""
    step: int = 0
    """Optimizer steps behind them."""
    trained_on: tuple[str, ...] = ()
    """SHA-256 (first 16 hex digits) of each training image's RGB pixels, to find leaks."""
    levels: Levels | None = None
    """Black and white of images of more than 8 bits a channel; those of the type unless given."""
    temperature: float = 1.0
    """Divides the logits that confidence comes from; fitted by `cgrseg evaluate --fit-temperature`.

    Labels do not depend on it, so it raised no format version: an older cgrseg gives the same labels, and the
    confidence that it always gave.
    """


def as_metadata(info: WeightsInfo) -> dict[str, str]:
    """The metadata that a file carries."""
    tree = {entry.name: getattr(info, entry.name) for entry in dataclasses.fields(info)}
    settings = {"model": info.model, "classes": info.classes, "inference": info.inference, "recipe": info.recipe}
    tree |= {name: as_tree(value) for name, value in settings.items() if value is not None}
    return {"format": FORMAT, "version": str(VERSION), "info": json.dumps(tree, allow_nan=False)}


def from_metadata(metadata: Mapping[str, str], name: str) -> WeightsInfo:
    """Parse the metadata of a file; `name` is the file's name in errors.

    Raises:
        CheckpointError: the file is not ours, of a newer format, or damaged.
    """
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{name} was not written by cgrseg",
            advice="it does not say what it holds",
        )
    info, problem = None, ""
    try:
        version = int(metadata["version"])
        if version > VERSION:
            raise CheckpointError(
                f"{name} has format version {version}, this cgrseg reads up to {VERSION}",
                advice="update cgrseg",
            )
        info = _parse_info(json.loads(metadata["info"]), name)
        problem = _unsound(info) if version > 0 else f"format version {version}"
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        problem = f"{type(error).__name__}: {reason(error)}"
    except RecipeError as error:
        problem = error.problem
    if info is None or problem:
        raise CheckpointError(f"{name}: its description is damaged ({problem})", advice="get the file again")
    return info


def _parse_info(tree: dict, name: str) -> WeightsInfo:
    names, colours = _list(tree["classes"]["names"]), _list(tree["classes"]["colours"])
    table = ClassTable(tuple(names), tuple(tuple(_list(colour)) for colour in colours))
    return WeightsInfo(
        model=parse(ModelConfig, tree["model"], name),
        classes=table,
        inference=parse(InferenceConfig, tree["inference"], name),
        mean=tuple(tree["mean"]),
        std=tuple(tree["std"]),
        recipe=parse(Recipe, tree["recipe"], name) if tree["recipe"] else None,
        scores=dict(tree["scores"]),
        step=tree["step"],
        trained_on=tuple(_list(tree["trained_on"])),
        levels=convert(Levels, tree["levels"], name) if tree.get("levels") else None,  # type: ignore[arg-type]
        temperature=float(tree.get("temperature", 1.0)),
    )


def _list(value: object) -> list:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:50]!r} is not a list")
    return value


def _unsound(info: WeightsInfo) -> str:
    """The first fault of a description that has all its keys; empty if there is none."""
    classes, count = info.classes, info.model.classes
    numbers = (*info.mean, *info.std, *info.scores.values(), info.temperature, *(info.levels or ()))
    checks = {
        f"{len(classes.names)} class names for {count} classes": len(classes.names) == count,
        "a class without a name": all(isinstance(label, str) and label for label in classes.names),
        "a class name that is not text": all(_is_text(label) for label in classes.names),
        "a colour that is not three numbers from 0 to 255": len(classes.colours) == count
        and all(len(colour) == 3 and all(_is_level(part) for part in colour) for colour in classes.colours),
        "mean and std need three values each": (len(info.mean), len(info.std)) == (3, 3),
        "a number that is not finite": all(math.isfinite(number) for number in numbers),
        "std must be positive": min(info.std, default=0) > 0,
        "mean and std must be near those of images": all(abs(mean) < LARGEST for mean in info.mean)
        and all(1 / LARGEST < std < LARGEST for std in info.std),
        "the inference sizes are too large": max(info.inference.short_px, info.inference.long_px) <= LARGEST,
        "the temperature must be positive": 1 / LARGEST < info.temperature < LARGEST,
        "the step must be a whole number, 0 or more": type(info.step) is int and info.step >= 0,
        "white must be above black": info.levels is None or info.levels[0] < info.levels[1],
        "trained_on must list texts": all(isinstance(entry, str) for entry in info.trained_on),
    }
    return next((fault for fault, is_sound in checks.items() if not is_sound), "")


def _is_text(label: str) -> bool:
    """Whether a name can be written and drawn: not very long, no half of a character and none that moves the cursor."""
    return len(label) <= LONGEST and not any(unicodedata.category(part) in ("Cc", "Cs") for part in label)


def _is_level(part: object) -> bool:
    return type(part) is int and 0 <= part <= 255


CLASSIFIER = ("head.classifier.weight", "head.classifier.bias")


def save_weights(path: Path, model: nn.Module, info: WeightsInfo, *, half: bool = False) -> None:
    """Write weights and what they say about themselves, atomically; `half` stores fp16."""
    write_tensors(path, {name: _stored(tensor, half) for name, tensor in model.state_dict().items()}, info)


def write_tensors(path: Path, tensors: dict[str, Tensor], info: WeightsInfo) -> None:
    """Write tensors as they are and what they say about themselves, atomically."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(save(tensors, as_metadata(info)))  # save_file would make it readable by its owner only


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() else tensor


def read_info(path: Path) -> WeightsInfo:
    """Read the description of a weights file, without its tensors.

    Raises:
        CheckpointError: missing, not safetensors, not ours, or of a newer format.
    """
    return from_metadata(read_metadata(path), path.name)


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of any safetensors file.

    Raises:
        CheckpointError: missing, or not safetensors.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            return file.metadata() or {}
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such weights file") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path.name} is not a safetensors file, or is cut short: {reason(error)}") from None


def load_weights(path: Path) -> tuple[CGRSeg, WeightsInfo]:
    """The network of one of our files, in eval mode, and what the file says about itself."""
    info = read_info(path)
    model = build_model(info.model)
    fill(model, read_tensors(path), path.name)
    return model.eval(), info


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, floats as fp32."""
    tensors = load_file(path)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def fill(model: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    """Load tensors that must match the network's exactly.

    Raises:
        CheckpointError: one error that lists tensors that are missing, unexpected, misshapen, mistyped or not finite.
    """
    problems = mismatches(model.state_dict(), tensors)
    if problems:
        raise CheckpointError(f"{name} does not fit this network: {'; '.join(problems)}")
    broken = [key for key, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{name}: {len(broken)} of its tensors hold NaN or infinity ({_examples(broken)})",
            advice="train again, or take an earlier checkpoint",
        )
    model.load_state_dict(tensors)


def mismatches(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    """Tensors that are missing, unexpected, or of another shape or type: a phrase each, with examples."""
    misshapen = [
        f"{name} is {tuple(found[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    mistyped = [
        f"{name} holds {str(found[name].dtype).removeprefix('torch.')}"
        for name, tensor in wanted.items()
        if name in found and found[name].is_floating_point() != tensor.is_floating_point()
    ]
    rows = {
        "missing": [name for name in wanted if name not in found],
        "unexpected": [name for name in found if name not in wanted],
        "of another shape": misshapen,
        "of another type": mistyped,
    }
    return [f"{len(names)} {what} ({_examples(names)})" for what, names in rows.items() if names]


def _examples(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def start_from(
    model: CGRSeg, classes: ClassTable, tensors: dict[str, Tensor], given: ClassTable, name: str
) -> tuple[str, ...]:
    """Start a training from weights: everything but the classifier, and its rows of classes of the same name.

    Returns:
        The names of the classes whose rows keep their random start.

    Raises:
        CheckpointError: anything else than the classifier's rows differs.
    """
    rows_of = [given.names.index(label) if label in given.names else None for label in classes.names]
    started = dict(tensors)
    for key in CLASSIFIER:
        rows = model.state_dict()[key].clone()
        for row, source in enumerate(rows_of):
            if source is not None and key in tensors:
                rows[row] = tensors[key][source]
        started[key] = rows
    fill(model, started, name)
    return tuple(label for label, source in zip(classes.names, rows_of, strict=True) if source is None)
