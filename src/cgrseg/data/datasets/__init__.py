"""Data sets with labels: one small module for each layout on disk, and the door to all of them.

A new kind is a module with `find(path, split) -> Layout`, a line below, its name in `cgrseg.config.Kind`, and a
JSON of class names and raw values in `assets`.
"""

from pathlib import Path

from cgrseg.classes import ClassTable
from cgrseg.config import Kind
from cgrseg.data.datasets import camvid, folder
from cgrseg.data.datasets.labelled import LabelledImages, Layout, Pair
from cgrseg.errors import DatasetError

__all__ = ["LabelledImages", "Pair", "open_dataset"]

READERS = {"camvid": camvid.find}
"""Kinds whose classes are published; a `folder` brings its own."""


def open_dataset(
    kind: Kind, path: Path, split: str, hold_out: str = "", classes: ClassTable | None = None
) -> LabelledImages:
    """One split of a data set on disk.

    Args:
        kind: the layout of the files.
        path: the folder of the data set.
        split: `train`, `val` or another that the data set has, or `holdout`.
        hold_out: prefix of names that leave the split `train` and make up the split `holdout`.
        classes: the classes of a folder that names none.

    Raises:
        DatasetError: something is missing; the message says what was looked for.
    """
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder; --data {kind}=PATH says where the data set is")
    if split == "holdout" and not hold_out:
        raise DatasetError("the split 'holdout' needs data.hold_out: the prefix of the names kept out of training")
    layout = _find(kind, path, "train" if split == "holdout" else split, classes)
    pairs = _without_held_out(layout.pairs, split, hold_out) if hold_out else layout.pairs
    return LabelledImages(kind, split, layout.classes, pairs, layout.lookup)


def _find(kind: Kind, path: Path, split: str, classes: ClassTable | None) -> Layout:
    return folder.find(path, split, classes) if kind == "folder" else READERS[kind](path, split)


def _without_held_out(pairs: tuple[Pair, ...], split: str, hold_out: str) -> tuple[Pair, ...]:
    """The pairs of `train` or `holdout`; other splits are as they were."""
    if split not in ("train", "holdout"):
        return pairs
    kept = tuple(pair for pair in pairs if pair.name.startswith(hold_out) == (split == "holdout"))
    if len(kept) in (0, len(pairs)):
        which = "no" if (split == "holdout") == (not kept) else "every"
        raise DatasetError(
            f"data.hold_out: {which} name in train begins with {hold_out!r}; the first is {pairs[0].name}"
        )
    return kept
