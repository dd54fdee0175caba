"""Weights files: one self-describing safetensors format, and the readers of foreign ones."""

from dataclasses import replace
from pathlib import Path

from cgrseg.classes import named, published
from cgrseg.errors import CheckpointError
from cgrseg.model import CGRSeg
from cgrseg.weights.backbone import fill_backbone, find_imagenet, read_backbone, refuse_backbone, start_backbone
from cgrseg.weights.format import WeightsInfo, load_weights, read_info, save_weights, start_from, write_tensors
from cgrseg.weights.hub import bundled_names, find_weights
from cgrseg.weights.official import read_official

__all__ = [
    "WeightsInfo",
    "bundled_names",
    "fill_backbone",
    "find_imagenet",
    "find_weights",
    "load_weights",
    "open_weights",
    "read_backbone",
    "read_info",
    "read_official",
    "save_weights",
    "start_backbone",
    "start_from",
    "with_classes",
    "write_tensors",
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
    try:
        model, info = read_official(path, None) if path.suffix in (".pth", ".pt") else load_weights(path)
    except CheckpointError:
        refuse_backbone(path)  # which says more about one
        raise
    return model, with_classes(info, classes, path.name)


def with_classes(info: WeightsInfo, classes: str | tuple[str, ...] | None, name: str) -> WeightsInfo:
    """The same with other names for the classes, if any are given; `name` is what errors call the file.

    Raises:
        CheckpointError: they are not as many as it predicts.
    """
    if classes is None:
        return info
    table = published(classes) if isinstance(classes, str) else named(tuple(classes))
    if len(table) != info.model.classes:
        label = classes if isinstance(classes, str) else "the given list"
        raise CheckpointError(f"{name} predicts {info.model.classes} classes but {label} has {len(table)}")
    return replace(info, classes=table)
