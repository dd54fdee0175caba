"""Weights files: one self-describing safetensors format, and the readers of foreign ones."""

from dataclasses import replace
from pathlib import Path

from cgrseg.classes import ClassTable, named, published
from cgrseg.errors import CheckpointError
from cgrseg.model import CGRSeg
from cgrseg.weights.bundled import bundled_names, find_weights
from cgrseg.weights.checkpoint import load_weights, read_info, save_weights, start_from
from cgrseg.weights.info import WeightsInfo
from cgrseg.weights.official import read_official

__all__ = [
    "WeightsInfo",
    "bundled_names",
    "find_weights",
    "load_weights",
    "open_weights",
    "read_info",
    "read_official",
    "save_weights",
    "start_from",
]


def open_weights(source: str | Path, classes: str | tuple[str, ...] | None = None) -> tuple[CGRSeg, WeightsInfo]:
    """The network of any weights file, in eval mode, and what the file says about itself.

    Args:
        source: a `.safetensors` file of ours, one of the authors' `.pth` files, a bundled name or a hub id.
        classes: names for the classes, or the name of a published table such as `ade20k`; needed for good names
            with the authors' files, and checked against the file's own count.

    Raises:
        CheckpointError: the file cannot be read, is not whole, or predicts another number of classes.
    """
    path = find_weights(source)
    table = _table(classes)
    if path.suffix in (".pth", ".pt"):
        model, info = read_official(path, None)
    else:
        model, info = load_weights(path)
    if table is None:
        return model, info
    if len(table) != info.model.classes:
        label = classes if isinstance(classes, str) else "the given list"
        raise CheckpointError(f"{path.name} predicts {info.model.classes} classes but {label} has {len(table)}")
    return model, replace(info, classes=table)


def _table(classes: str | tuple[str, ...] | None) -> ClassTable | None:
    if classes is None:
        return None
    return published(classes) if isinstance(classes, str) else named(tuple(classes))
