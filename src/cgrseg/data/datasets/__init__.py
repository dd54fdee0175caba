"""Labelled data sets: a function for each layout on disk, and `open_dataset` for all of them.

A new kind needs a function `find(path, split) -> Layout`, a line in `READERS`, its name in `cgrseg.config.Kind`, and
a JSON of class names and raw values in `assets`.
"""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

from cgrseg.classes import ClassTable, read_published
from cgrseg.config import HoldOut, Kind, Merge
from cgrseg.data.datasets import coco, folder, pascalcontext, published
from cgrseg.data.datasets.labelled import LabelledImages, Layout, Pair
from cgrseg.data.datasets.merging import merge_classes
from cgrseg.errors import DatasetError
from cgrseg.recipes import read_merge

__all__ = ["LabelledImages", "Pair", "open_dataset", "without_held_out"]

READERS = {
    "camvid": published.find_camvid,
    "ade20k": published.find_ade20k,
    "cocostuff10k": published.find_cocostuff10k,
    "cocostuff164k": published.find_cocostuff164k,
    "pascalcontext59": partial(pascalcontext.find, kind="pascalcontext59"),
    "pascalcontext60": partial(pascalcontext.find, kind="pascalcontext60"),
    "cityscapes": published.find_cityscapes,
    "voc2012": published.find_voc2012,
}
"""The readers of published data sets; a `folder` brings its own classes."""

logger = logging.getLogger(__name__)


def open_dataset(
    kind: Kind,
    path: Path,
    split: str,
    hold_out: HoldOut = "",
    classes: ClassTable | None = None,
    merge: Path | Merge | None = None,
) -> LabelledImages:
    """Open one split of a data set on disk.

    Args:
        kind: the layout of the files.
        path: the folder of the data set.
        split: `train`, `val` or another split of the data set, or `holdout`.
        hold_out: names, or a prefix of names, to move from the split `train` to the split `holdout`.
        classes: the classes of a `folder` that does not name its own.
        merge: new classes in terms of the data set's own, or the YAML file that lists them.

    Raises:
        DatasetError: files are missing or do not fit together.
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
    _tell_brushed(layout, path)
    expected = expected if len(pairs) == len(layout.pairs) else None
    for note in layout.notes:
        logger.warning("%s: %s", path, note.sentence)
    return LabelledImages(kind, split, layout.classes, pairs, layout.lookup, layout.read, expected, notes=layout.notes)


def _find(kind: Kind, path: Path, split: str, classes: ClassTable | None) -> Layout:
    return folder.find(path, split, classes) if kind == "folder" else READERS[kind](path, split)


def _tell_brushed(layout: Layout, path: Path) -> None:
    brushed = layout.read.brushed if isinstance(layout.read, coco.MaskReader) else {}
    if brushed:
        masks = f"{sum(brushed.values()):,} masks of {' and '.join(brushed)}"
        logger.warning("%s: %s are marked as crowds, like most of their kind; they are read as labels", path, masks)


def _expected(kind: Kind, split: str, count: int) -> int | None:
    """The number of images in the official release; a part of a release works, but causes a warning."""
    expected = None if kind == "folder" else read_published(kind).splits.get(split)
    if expected is not None and count != expected:
        difference = f"{count:,} images where the official release has {expected:,}"
        logger.warning("%s %s holds %s; is it complete?", kind, split, difference)
    return expected


def _without_held_out(pairs: tuple[Pair, ...], split: str, hold_out: HoldOut) -> tuple[Pair, ...]:
    """The pairs of `train` or `holdout`; other splits stay unchanged."""
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
    missing = sorted(held - {pair.name for pair in pairs})
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise DatasetError(
            f"data.hold_out: {len(missing)} of its {len(held)} names are not in train: {listed}",
            advice="restore these images, or remove the names from data.hold_out",
        )
    if len(held) == len(pairs):
        raise DatasetError(f"data.hold_out names all {len(pairs)} images of train", advice="leave some to learn from")
    return tuple(pair for pair in pairs if (pair.name in held) == (split == "holdout"))
