"""A mask of 0 and 255 for each class and image, as many scripts and Label Studio's brush write them.

    masks/<class>/x.png                                      a folder for each class; also without masks/
    masks/x/<class>.png                                      a folder for each image
    masks/x_<class>.png                                      an ending for each class
    task-1-annotation-2-by-me-tag-<class>-0.png              see `label_studio`

The classes are those of classes.txt, else the names of the masks in alphabetical order. Where masks overlap, the later
class counts. Pixels that no mask covers have no label, unless a class is called `background` or `_background_`.

Axes: H W image rows and columns.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8, UInt16

from cgrseg.classes import named
from cgrseg.data.datasets.label_studio import brush_files, find_brushed, is_brush_export
from cgrseg.data.datasets.labelled import Layout, Note, Pair, SplitFiles, lookup_of
from cgrseg.data.datasets.layouts import SEPARATORS, folded
from cgrseg.data.datasets.table import Table, checked_names, plain_table
from cgrseg.data.datasets.trees import (
    SPLIT_NAMES,
    Files,
    Masks,
    Tree,
    files_below,
    folders_below,
    has_files,
    paired_or_negative,
    tree_of,
)
from cgrseg.data.images import SUFFIXES, read_label_map, read_size
from cgrseg.errors import CGRSegError, DatasetError
from cgrseg.files import readable
from cgrseg.types import IGNORE

ENDINGS = ("_mask", "-mask", "_label")
"""What masks may have after the name of their class."""
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
HALF = 128
"""The smallest value that belongs to the class in masks of 0..255, whose edges may be soft."""


@dataclass(frozen=True)
class ClassMaskReader:
    """Joins the masks of an image to a label map."""

    table: Table
    values: dict[Path, int]
    """The value of the class of each file."""

    def __call__(self, pair: Pair) -> UInt16[np.ndarray, "H W"]:
        size = read_size(pair.image)
        labels = np.full(size, self.table.unlabelled, np.uint16)
        for file in sorted(pair.masks, key=lambda file: self.values[file]):
            mask = read_mask(file)
            if mask.shape != size:
                (height, width), (image_height, image_width) = mask.shape, size
                raise DatasetError(
                    f"{file} is {width} x {height} pixels but its image {pair.image} is {image_width} x {image_height}",
                    advice="export it again at the size of its image",
                )
            labels[mask] = self.values[file]
        return labels

    def overlap(self, pair: Pair) -> int:
        """The number of pixels that masks of several classes cover; 0 if they cannot be read."""
        covered: dict[int, Bool[np.ndarray, "H W"]] = {}
        try:
            for file in pair.masks:
                mask, value = read_mask(file), self.values[file]
                covered[value] = covered[value] | mask if value in covered else mask
            return int(np.count_nonzero(np.sum(list(covered.values()), axis=0) > 1))
        except (CGRSegError, ValueError):  # reading the label map gives the error
            return 0


def read_mask(file: Path) -> Bool[np.ndarray, "H W"]:
    """Where a mask has its class: 1 in masks of 0 and 1, and 128 or more in masks of 0 and 255.

    Raises:
        ImageError: it cannot be read, or holds colours.
        DatasetError: its values are others.
    """
    values: UInt8[np.ndarray, "H W"] = read_label_map(file)
    largest = int(values.max())
    if 1 < largest < HALF or largest > IGNORE:
        raise DatasetError(
            f"{file} holds values up to {largest}, where a mask of one class holds 0 and 255, or 0 and 1",
            advice="if it holds the numbers of several classes, give it the name of its image",
        )
    return values >= (1 if largest <= 1 else HALF)


def find_class_masks(tree: Tree) -> Masks:
    """The masks of each image, if each class has its own; empty otherwise."""
    if tree.is_mixed or not tree.images.is_dir() or _pairs_directly(tree):
        return {}
    images = files_below(tree.images, SUFFIXES, deep=not has_files(tree.images))
    files = files_below(tree.labels, MASK_SUFFIXES) if tree.labels.is_dir() else _beside(tree.images)
    if not files or set(map(folded, images)) & set(map(folded, files)):
        return {}
    return _in_folders(images, files) or _by_ending(images, files)


def _pairs_directly(tree: Tree) -> bool:
    """Whether the first label file has the name of an image, as label maps have."""
    first = next(tree.labels.glob("*.png"), None) if tree.labels.is_dir() else None
    return first is not None and any((tree.images / (first.stem + suffix)).exists() for suffix in SUFFIXES)


def _beside(images: Path) -> Files:
    """The masks in the folders beside that of the images, if there are several: one for each class."""
    others = [folder for folder in folders_below(images.parent) if folder != images]
    masks = {readable(folder.name): files_below(folder, MASK_SUFFIXES, deep=False) for folder in others}
    masks = {folder: files for folder, files in masks.items() if files}
    if len(masks) < 2:
        return {}
    return {f"{folder}/{name}": group for folder, files in masks.items() for name, group in files.items()}


def _in_folders(images: Files, files: Files) -> Masks:
    """Masks in folders of classes, or in folders of images."""
    known = {folded(name): name for name in images}
    if not all("/" in name for name in files):
        return {}
    of_classes: Masks = defaultdict(dict)
    of_images: Masks = defaultdict(dict)
    for name, group in files.items():
        first, _, rest = name.partition("/")
        image = known.get(folded(rest)) or known.get(folded(_without_class(rest, first)))
        if image is not None:
            of_classes[image].setdefault(first, []).extend(group)
        folder, _, last = name.rpartition("/")
        if folded(folder) in known:
            of_images[known[folded(folder)]].setdefault(last, []).extend(group)
    total = sum(map(len, files.values()))
    return next((dict(masks) for masks in (of_classes, of_images) if len(_all_files(masks)) == total), {})


def _all_files(masks: Masks) -> list[Path]:
    return [file for by_class in masks.values() for group in by_class.values() for file in group]


def _without_class(name: str, label: str) -> str:
    """The name of a mask without the class that it repeats, as in road/x_road.png."""
    ending = name[-len(label) - 1 :]
    return name[: -len(ending)] if ending[0] in SEPARATORS and folded(ending[1:]) == folded(label) else name


def _by_ending(images: Files, files: Files) -> Masks:
    """Masks whose names are those of their images and that of the class, if there are two classes or more."""
    known = {folded(name): name for name in images}
    masks: Masks = defaultdict(dict)
    endings = set[str]()
    for name, group in files.items():
        cuts = (cut for cut in range(len(name) - 1, 0, -1) if name[cut] in SEPARATORS and folded(name[:cut]) in known)
        cut = next(cuts, None)
        if cut is None:
            return {}
        masks[known[folded(name[:cut])]].setdefault(name[cut + 1 :], []).extend(group)
        endings.add(name[cut + 1 :])
    if len(endings) < 2 or all(ending.isdigit() for ending in endings):
        return {}
    common = next((end for end in ENDINGS if all(name.endswith(end) and name != end for name in endings)), "")
    return {
        image: {name.removesuffix(common): group for name, group in by_class.items()}
        for image, by_class in masks.items()
    }


def files_read(path: Path, split: str) -> SplitFiles:
    """The images and masks of a split; of a brush export, also the masks of earlier annotations, and the tasks."""
    if is_brush_export(path):
        folder, images, files = brush_files(path)
        return SplitFiles(folder, path, frozenset((*files, *_files(images), *path.glob("*.json"))))
    tree = tree_of(path, split)
    masks = find_class_masks(tree)
    images = files_below(tree.images, SUFFIXES, deep=not has_files(tree.images))
    return SplitFiles(tree.images, tree.labels, frozenset((*_files(images), *_all_files(masks))))


def _files(groups: Files) -> list[Path]:
    return [file for group in groups.values() for file in group]


def find_masks(path: Path, split: str, table: Table | None) -> Layout:
    """A split in which each class has its own masks.

    Raises:
        DatasetError: the split does not exist, a mask has no class, or an image two files.
    """
    where = f"split {split!r} of {path}"
    if is_brush_export(path):
        if split != "train":
            raise DatasetError(f"{path} has no splits: all its images are train")
        images, masks, notes = find_brushed(path)
        return _layout(images, masks, _table_of(masks, table, where, notes), where, notes)
    tree, every = tree_of(path, split), Masks()
    for name in {split, *SPLIT_NAMES}:
        every |= {f"{name}/{image}": masks for image, masks in find_class_masks(tree_of(path, name)).items()}
    notes = list[Note]()
    table = _table_of(every, table, where, notes)
    images = files_below(tree.images, SUFFIXES, deep=not has_files(tree.images))
    return _layout(images, find_class_masks(tree), table, where, notes)


def _table_of(masks: Masks, table: Table | None, where: str, notes: list[Note]) -> Table:
    """The classes of the folder, else those of the masks, which a note then names."""
    if table is not None:
        return table
    names = sorted({name for by_class in masks.values() for name in by_class}, key=str.casefold)
    sentence = f"the classes are the names of the masks: {', '.join(names)}"
    fix = "nothing to do; for another order, or a background, write them into classes.txt"
    notes.append(Note("mask-names", sentence, fix))
    return plain_table(named(checked_names(names, f"{where}: masks")))


def _layout(images: Files, masks: Masks, table: Table, where: str, notes: Sequence[Note]) -> Layout:
    values: dict[Path, int] = {}
    for by_class in masks.values():
        for name, group in by_class.items():
            values |= dict.fromkeys(group, table.value_of(name, f"{where}: masks"))
    files = {image: [file for group in by_class.values() for file in group] for image, by_class in masks.items()}
    first = {image: group[:1] for image, group in files.items()}
    folder = next(iter(first.values()))[0].parent
    pairs, more = paired_or_negative(sorted(images), images, first, folder, where, has_background=table.has_background)
    pairs = tuple(replace(pair, masks=tuple(files.get(pair.name, ()))) for pair in pairs)
    read = ClassMaskReader(table, values)
    return Layout(table.classes, lookup_of(table.raw, table.ignored), pairs, read, (*notes, *more))
