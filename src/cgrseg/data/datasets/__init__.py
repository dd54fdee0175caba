"""Data sets with labels: one small module for each layout on disk, and the door to all of them.

A new kind is a module with `find(path, split) -> Layout`, a line below, its name in `cgrseg.config.Kind`, and a
JSON of class names and raw values in `assets`.
"""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

from cgrseg.classes import ClassTable, read_published
from cgrseg.config import HoldOut, Kind, Merge
from cgrseg.data.datasets import ade20k, camvid, cityscapes, cocostuff10k, cocostuff164k, folder, pascalcontext, voc2012
from cgrseg.data.datasets.labelled import LabelledImages, Layout, Pair
from cgrseg.data.datasets.merging import merge_classes
from cgrseg.errors import DatasetError
from cgrseg.recipes import read_merge

__all__ = ["LabelledImages", "Pair", "open_dataset", "without_held_out"]

READERS = {
    "camvid": camvid.find,
    "ade20k": ade20k.find,
    "cocostuff10k": cocostuff10k.find,
    "cocostuff164k": cocostuff164k.find,
    "pascalcontext59": partial(pascalcontext.find, kind="pascalcontext59"),
    "pascalcontext60": partial(pascalcontext.find, kind="pascalcontext60"),
    "cityscapes": cityscapes.find,
    "voc2012": voc2012.find,
}
"""Kinds whose classes are published; a `folder` brings its own."""

logger = logging.getLogger(__name__)


def open_dataset(
    kind: Kind,
    path: Path,
    split: str,
    hold_out: HoldOut = "",
    classes: ClassTable | None = None,
    merge: Path | Merge | None = None,
) -> LabelledImages:
    """One split of a data set on disk.

    Args:
        kind: the layout of the files.
        path: the folder of the data set.
        split: `train`, `val` or another that the data set has, or `holdout`.
        hold_out: names, or the prefix of names, that leave the split `train` and make up the split `holdout`.
        classes: the classes of a folder that names none.
        merge: new classes made of the data set's own, or the YAML file that lists them.

    Raises:
        DatasetError: something is missing; the message says what was looked for.
    """
    if not path.is_dir():
        raise DatasetError(f"{path}: no such folder", advice="give the folder that holds the data set", setting="data")
    if split == "holdout" and not hold_out:
        raise DatasetError("the split 'holdout' needs data.hold_out: the names kept out of training, or their prefix")
    merge = read_merge(merge) if isinstance(merge, Path) else merge
    layout = _find(kind, path, "train" if split == "holdout" else split, None if merge else classes)
    expected = None if split == "holdout" else _expected(kind, split, len(layout.pairs))
    if merge:
        layout = merge_classes(layout, merge)
    pairs = _without_held_out(layout.pairs, split, hold_out) if hold_out else layout.pairs
    expected = expected if len(pairs) == len(layout.pairs) else None
    return LabelledImages(kind, split, layout.classes, pairs, layout.lookup, layout.read, expected)


def _find(kind: Kind, path: Path, split: str, classes: ClassTable | None) -> Layout:
    return folder.find(path, split, classes) if kind == "folder" else READERS[kind](path, split)


def _expected(kind: Kind, split: str, found: int) -> int | None:
    """The number of images in the official release; part of one is as good as any folder, but worth a word."""
    expected = None if kind == "folder" else read_published(kind).splits.get(split)
    if expected is not None and found != expected:
        counts = f"{found:,} images where the official release has {expected:,}"
        logger.warning("%s %s holds %s; is it complete?", kind, split, counts)
    return expected


def _without_held_out(pairs: tuple[Pair, ...], split: str, hold_out: HoldOut) -> tuple[Pair, ...]:
    """The pairs of `train` or `holdout`; other splits are as they were."""
    if split not in ("train", "holdout"):
        return pairs
    if isinstance(hold_out, tuple):
        return _without_names(pairs, split, hold_out)
    kept = tuple(pair for pair in pairs if pair.name.startswith(hold_out) == (split == "holdout"))
    if len(kept) in (0, len(pairs)):
        which = "no" if (split == "holdout") == (not kept) else "every"
        raise DatasetError(
            f"data.hold_out: {which} name in train begins with {hold_out!r}", advice=f"the first is {pairs[0].name}"
        )
    return kept


def without_held_out(train: LabelledImages, hold_out: HoldOut) -> LabelledImages | None:
    """The split `train` without the held-out images; none if `hold_out` does not belong to this data set.

    It belongs to a data set whose split `train` contains all its names, or some but not only images with its prefix.
    """
    names = {pair.name for pair in train.pairs}
    held = hold_out if isinstance(hold_out, tuple) else {name for name in names if name.startswith(hold_out)}
    if not held or not names.issuperset(held) or len(names.difference(held)) == 0:
        return None
    return replace(train, pairs=_without_held_out(train.pairs, "train", hold_out), expected=None)


def _without_names(pairs: tuple[Pair, ...], split: str, names: tuple[str, ...]) -> tuple[Pair, ...]:
    held = frozenset(names)
    gone = sorted(held - {pair.name for pair in pairs})
    if gone:
        listed = ", ".join(gone[:3]) + (", ..." if len(gone) > 3 else "")
        raise DatasetError(
            f"data.hold_out: {len(gone)} of its {len(held)} names are no images of train: {listed}",
            advice="put them back, or take them out of data.hold_out",
        )
    if len(held) == len(pairs):
        raise DatasetError(f"data.hold_out names all {len(pairs)} images of train", advice="leave some to learn from")
    return tuple(pair for pair in pairs if (pair.name in held) == (split == "holdout"))
