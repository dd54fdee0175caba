"""The user's own labelled images, and the exports of annotation programs.

    images/<split>/<stem>.jpg        any image suffix
    annotations/<split>/<stem>.png   the value of each pixel's class, or its colour in the palette (or TIFF, BMP); or
    annotations/<split>/<stem>.json  polygons of LabelMe; or
    annotations/<split>.json         polygons and masks of all images in COCO's format, see `coco_exports`
    images/unlabelled/               images without labels; not a split
    classes.txt or meta.json         see `table`; optional with COCO's format, which names its classes

Other folders of images and labels are in `trees`, exports in `cvat`, `coco_exports` and `supervisely`, masks of one
class each in `class_masks`. Which one a folder is, its files say.

Without splits, images lie directly in `images` and labels in `annotations`: all of them are the split `train`.
A label file has the name of its image apart from the suffix, from case and from the Unicode form. Pixels that no shape
covers have no label, unless a class is called `background` or `_background_`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import class_masks, coco_exports, cvat, supervisely
from cgrseg.data.datasets.class_masks import find_class_masks, find_masks
from cgrseg.data.datasets.coco_exports import find_coco, find_json, program_of
from cgrseg.data.datasets.colours import holds_colours, read_colours
from cgrseg.data.datasets.cvat import find_pairs, has_cvat_split, is_cvat
from cgrseg.data.datasets.label_studio import is_brush_export
from cgrseg.data.datasets.labelled import Layout, Note, Pair, SplitFiles, lookup_of
from cgrseg.data.datasets.labelme import read_labelme
from cgrseg.data.datasets.layouts import Endings, paired
from cgrseg.data.datasets.supervisely import find_supervisely, has_supervisely_split, is_supervisely
from cgrseg.data.datasets.table import Table, plain_table, read_table
from cgrseg.data.datasets.trees import (
    ALL_NAMES,
    SPLIT_NAMES,
    UNLABELLED_FOLDER,
    Tree,
    files_of,
    folders_advice,
    folders_below,
    has_tree,
    image_folder,
    is_whole,
    meant_split,
    single,
    split_names,
    splits_of,
    tree_of,
)
from cgrseg.data.images import read_label_map, read_size
from cgrseg.errors import DatasetError
from cgrseg.types import LabelMap

LAYOUT = "a folder holds images/<split>/ and annotations/<split>/, with equal names"

Form = Literal["cvat", "supervisely", "coco", "class masks", "tree"]


@dataclass(frozen=True)
class FileReader:
    """Reads each label file of a folder by its content: values, colours or shapes."""

    table: Table

    def __call__(self, pair: Pair) -> LabelMap:
        if pair.is_negative:
            return np.full(read_size(pair.image), self.table.unlabelled, np.uint16)
        if pair.labels.suffix.lower() == ".json":
            return read_labelme(pair.labels, self.table, read_size(pair.image))
        if not holds_colours(pair.labels, with_palettes=self.table.reads_palettes):
            return read_label_map(pair.labels)
        if not self.table.has_palette:
            raise DatasetError(
                f"{pair.labels} holds colours",
                advice=(
                    "save class numbers as an 8-bit gray or palette PNG, or say in meta.json what they mean: "
                    '{"classes": ["grass", "sky"], "palette": [[0, 128, 0], [70, 130, 180]]}'
                ),
            )
        return read_colours(pair.labels, self.table.values_by_colour(str(pair.labels)))


def form_of(path: Path, split: str) -> Form:
    """The form of a split of a folder, by its files.

    Raises:
        DatasetError: several folders could hold the images or the labels.
    """
    if is_cvat(path):
        return "cvat"
    if is_supervisely(path):
        return "supervisely"
    if find_json(path, split):
        return "coco"
    if is_brush_export(path) or find_class_masks(tree_of(path, split)):
        return "class masks"
    return "tree"


def program_name(path: Path, split: str) -> str:
    """Name the form of a folder for people; empty if it is in none of the forms, or in the one of its own."""
    try:
        form = form_of(path, split)
        tree = tree_of(path, split)
    except DatasetError:
        return ""
    if form == "coco" and (found := find_json(path, split)):
        return program_of(found[0])
    if form == "class masks":
        return "masks of Label Studio's brush" if is_brush_export(path) else "a mask for each class"
    if form == "tree" and tree.is_mixed:
        is_labelme = any(files[0].suffix == ".json" for files in files_of(tree)[1].values())
        return "LabelMe's files beside the images" if is_labelme else "Roboflow's semantic masks"
    names = {"cvat": "CVAT's segmentation masks 1.1", "supervisely": "Supervisely's project"}
    own = "images and annotations" if tree.labels.is_dir() else ""
    return names.get(form, own)


def find(path: Path, split: str, classes: ClassTable | None = None) -> Layout:
    """A split of the folder `path`; `classes` apply if it does not name its own."""
    form = form_of(path, split)
    if form == "supervisely":
        return find_supervisely(path, split)
    if form == "coco" and (found := find_json(path, split)):
        return find_coco(path, split, found, read_table(path))
    if form == "class masks":
        return find_masks(path, split, read_table(path))
    if form == "cvat":
        table = _table_or(read_table(path), classes, path)
        pairs, notes = find_pairs(path, split, has_background=table.has_background)
        return _layout(table, pairs, notes)
    tree = tree_of(path, split)
    _require_folders(path, split, tree)
    table = _table_or(read_table(path, tree.images), classes, path)
    images, labels, endings = files_of(tree)
    names = sorted(images | labels)
    advice = folders_advice(tree, images, labels)
    pairs = paired(names, single(images), single(labels), f"split {split!r} of {path}", advice)
    return _layout(table, pairs, ending_notes(endings))


def _layout(table: Table, pairs: tuple[Pair, ...], notes: list[Note]) -> Layout:
    return Layout(table.classes, lookup_of(table.raw, table.ignored), pairs, FileReader(table), tuple(notes))


def ending_notes(endings: Endings) -> list[Note]:
    """A note about what names end in beyond those that images and label files share."""
    ends = [f"{end!r} at the end of {what}" for what, end in vars(endings).items() if end]
    if not ends:
        return []
    sentence = f"names pair without {' and '.join(ends)}"
    return [Note("ending", sentence, "nothing to do")]


def _require_folders(path: Path, split: str, tree: Tree) -> None:
    missing = next((folder for folder in (tree.images, tree.labels) if not folder.is_dir()), None)
    if missing is not None:
        raise DatasetError(f"{missing}: no such folder", advice=layout_advice(path, split))


def layout_advice(path: Path, split: str) -> str:
    """Say what a folder should hold for a split, and what this one holds."""
    meant = [entry for entry in (*folders_below(image_folder(path)), *folders_below(path)) if _means(entry, split)]
    if meant:
        return f"did you mean {meant[0]}? a folder of {split} is called {' or '.join(split_names(split))}"
    inside = [folder for folder in folders_below(path) if folder.name not in ALL_NAMES and is_known(folder)]
    if inside and not is_known(path):
        return f"the data set seems to be {' or '.join(map(str, inside))}: give that folder"
    return f"{LAYOUT}; {_splits(path)}"


def _means(folder: Path, split: str) -> bool:
    """Whether the name of a folder is not read, but probably means a split."""
    return meant_split(folder.name) == split and folder.name not in split_names(split)


def is_known(path: Path) -> bool:
    """Whether a folder has one of the forms."""
    return any(has_split(path, split) for split in ("train", "val"))


def _table_or(table: Table | None, classes: ClassTable | None, path: Path) -> Table:
    if table is not None:
        return table
    if classes is None:
        raise DatasetError(
            f"{path} names no classes", advice="write classes.txt there, one name a line, in order of label"
        )
    return plain_table(classes)


def has_split(path: Path, split: str) -> bool:
    """Whether the folder has images or labels for a split."""
    if is_cvat(path):
        return has_cvat_split(path, split)
    if is_supervisely(path):
        return has_supervisely_split(path, split)
    if is_brush_export(path):
        return split == "train"
    return find_json(path, split) is not None or has_tree(path, split)


def files_read(path: Path) -> list[SplitFiles]:
    """The files that are read of every split.

    Raises:
        DatasetError: a list or JSON cannot be read.
    """
    if is_cvat(path):
        return cvat.files_read(path)
    return [files for split in SPLIT_NAMES if has_split(path, split) for files in _files_read(path, split)]


def _files_read(path: Path, split: str) -> list[SplitFiles]:
    form, tree = form_of(path, split), tree_of(path, split)
    if form == "supervisely":
        return supervisely.files_read(path, split)
    if form == "coco" and (found := find_json(path, split)):
        return [coco_exports.files_read(path, split, found)]
    if form == "class masks":
        return [class_masks.files_read(path, split)]
    images, labels, _ = files_of(tree)
    files = (file for part in (images, labels) for group in part.values() for file in group)
    return [SplitFiles(tree.images, tree.labels, frozenset(files))]


def unlabelled_folder(path: Path) -> Path | None:
    """The folder with images without labels, if it exists."""
    folder = image_folder(path) / UNLABELLED_FOLDER
    return folder if folder.is_dir() else None


def _splits(path: Path) -> str:
    if is_whole(path):
        return f"{path} has no splits: all its images are train"
    splits = splits_of(path)
    return f"the splits of {path} are {', '.join(splits)}" if splits else f"{path} has no splits"
