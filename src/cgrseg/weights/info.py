"""What a weights file says about itself, as one value and as the metadata of the file.

The metadata of every file of ours (safetensors, ONNX, OpenVINO) holds `format` ("cgrseg"), `version` (of the format)
and `info` (JSON of `WeightsInfo`).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cgrseg.classes import ClassTable
from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, InferenceConfig, ModelConfig, Recipe
from cgrseg.errors import CheckpointError
from cgrseg.recipes import as_tree, parse

FORMAT, VERSION = "cgrseg", 1


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
    """SHA-256 (first 16 hex digits) of each training picture's RGB pixels, to find leaks."""
    temperature: float = 1.0
    """Divides the logits that confidence comes from; fitted by `cgrseg evaluate --calibrate`.

    Labels do not depend on it, so it raised no format version: an older cgrseg gives the same labels, and the
    confidence that it always gave.
    """


def as_metadata(info: WeightsInfo) -> dict[str, str]:
    """The metadata that a file carries."""
    tree = {entry.name: getattr(info, entry.name) for entry in dataclasses.fields(info)}
    settings = {"model": info.model, "classes": info.classes, "inference": info.inference, "recipe": info.recipe}
    tree |= {name: as_tree(value) for name, value in settings.items() if value is not None}
    return {"format": FORMAT, "version": str(VERSION), "info": json.dumps(tree)}


def from_metadata(metadata: Mapping[str, str], name: str) -> WeightsInfo:
    """What the metadata of a file says; `name` is what errors call the file.

    Raises:
        CheckpointError: the file is not ours, or of a newer format.
    """
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{name} was not written by cgrseg; it does not say what it holds")
    if int(metadata["version"]) > VERSION:
        raise CheckpointError(
            f"{name} has format version {metadata['version']}, this cgrseg reads up to {VERSION}; update cgrseg"
        )
    tree = json.loads(metadata["info"])
    table = ClassTable(tuple(tree["classes"]["names"]), tuple(tuple(colour) for colour in tree["classes"]["colours"]))
    return WeightsInfo(
        model=parse(ModelConfig, tree["model"], name),
        classes=table,
        inference=parse(InferenceConfig, tree["inference"], name),
        mean=tuple(tree["mean"]),
        std=tuple(tree["std"]),
        recipe=parse(Recipe, tree["recipe"], name) if tree["recipe"] else None,
        scores=tree["scores"],
        step=tree["step"],
        trained_on=tuple(tree["trained_on"]),
        temperature=float(tree.get("temperature", 1.0)),
    )
