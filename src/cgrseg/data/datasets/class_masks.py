"""A mask of 0 and 255 for each class and image, as many scripts and Label Studio's brush write them.

    masks/<class>/x.png                                      a folder for each class; also without masks/
    masks/x/<class>.png                                      a folder for each image
    masks/x_<class>.png                                      an ending for each class
    task-1-annotation-2-by-me-tag-<class>-0.png              Label Studio; its JSON export says which image task 1 is

The classes are those of classes.txt, else the names of the masks in alphabetical order. Where masks overlap, the later
class counts. Pixels that no mask covers have no label, unless a class is called `background` or `_background_`.

Axes: H W image rows and columns.
"""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, UInt8, UInt16

from cgrseg.classes import named
from cgrseg.data.datasets.labelled import Layout, Note, Pair, lookup_of
from cgrseg.data.datasets.names import SEPARATORS, folded
from cgrseg.data.datasets.table import Table, checked_names, plain_table
from cgrseg.data.datasets.trees import (
    SPLIT_NAMES,
    Files,
    Tree,
    files_below,
    folders_below,
    paired_or_negative,
    tree_of,
)
from cgrseg.data.images import SUFFIXES, read_label_map, read_size
from cgrseg.errors import CGRSegError, DatasetError
from cgrseg.types import IGNORE

Masks = dict[str, dict[str, list[Path]]]
"""The files of each image, by its name and by class."""

BRUSH = re.compile(r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-[^-]*-[^-]+-(?P<name>.+)-\d+")
"""The names of Label Studio's files: the label comes after the name of its tag, and may have hyphens."""
ENDINGS = ("_mask", "-mask", "_label")
"""What masks may have after the name of their class."""
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
HALF = 128
"""The smallest value that belongs to the class in masks of 0..255, whose edges may be soft."""
PREFIX = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the names of uploaded images."""


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
    if tree.is_mixed or not tree.images.is_dir():
        return {}
    direct = any(file.suffix.lower() in SUFFIXES for file in tree.images.iterdir())
    images = files_below(tree.images, SUFFIXES, deep=not direct)
    files = files_below(tree.labels, MASK_SUFFIXES) if tree.labels.is_dir() else _beside(tree.images)
    if not files or set(map(folded, images)) & set(map(folded, files)):
        return {}
    return _in_folders(images, files) or _by_ending(images, files)


def _beside(images: Path) -> Files:
    """The masks in the folders beside that of the images, if there are several: one for each class."""
    others = [folder for folder in folders_below(images.parent) if folder != images]
    masks = {folder.name: files_below(folder, MASK_SUFFIXES, deep=False) for folder in others}
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


def is_brush_export(path: Path) -> bool:
    """Whether a folder holds masks of Label Studio's brush."""
    return bool(_brush_files(path))


def _brush_files(path: Path) -> dict[Path, re.Match[str]]:
    folders = (path, *folders_below(path))
    files = [file for folder in folders for file in sorted(folder.glob("task-*-annotation-*.png"))]
    return {file: match for file in files if (match := BRUSH.fullmatch(file.stem))}


def find_brushed(path: Path) -> tuple[Files, Masks, list[Note]]:
    """The images and masks of a brush export of Label Studio, and what is to be said about them.

    Raises:
        DatasetError: it is not known which image a task has.
    """
    folder = path / "images" if (path / "images").is_dir() else path
    brushed = _brush_files(path)
    others = {
        name: [file for file in group if file not in brushed] for name, group in files_below(folder, SUFFIXES).items()
    }
    images = {name: group for name, group in others.items() if group}
    by_task: dict[str, dict[str, dict[str, list[Path]]]] = defaultdict(lambda: defaultdict(dict))
    for file, match in brushed.items():
        by_task[match["task"]][match["annotation"]].setdefault(match["name"], []).append(file)
    image_of = _images_of_tasks(path, images, list(by_task))
    masks, notes = Masks(), list[Note]()
    for task, by_annotation in by_task.items():
        latest = max(by_annotation, key=int)
        masks[image_of[task]] = by_annotation[latest]
        if len(by_annotation) > 1:
            sentence = f"task {task} has the annotations {', '.join(by_annotation)}, of which only {latest} is read"
            fix = "delete the others in Label Studio, or take their masks out, if another one is right"
            notes.append(Note("annotations", sentence, fix, (image_of[task],), is_warning=True))
    return images, masks, notes


def _images_of_tasks(path: Path, images: Files, tasks: Sequence[str]) -> dict[str, str]:
    """The name of the image of each task: by Label Studio's JSON export, else by its number."""
    listed = _listed_tasks(path)
    known = {folded(PurePosixPath(name).name): name for name in images}
    found: dict[str, str] = {}
    for task in tasks:
        stem = folded(PurePosixPath(listed.get(task, "").replace("\\", "/").rpartition("=")[2]).stem)
        names = (stem, PREFIX.sub("", stem, count=1)) if task in listed else (task, f"task-{task}")
        image = next((known[name] for name in names if name in known), None)
        if image is None and task in listed:
            image = next((name for key, name in known.items() if PREFIX.sub("", key, count=1) == stem), None)
        if image is None:
            what = f"is the image {listed[task]}, which is not there" if task in listed else "is not tied to an image"
            raise DatasetError(
                f"{path}: task {task} of Label Studio {what}: its masks are named by task",
                advice=f"put the images into {path / 'images'} and the JSON export of the project into {path}; or call "
                "the image of each task by its number, such as 1.jpg",
            )
        found[task] = image
    return found


def _listed_tasks(path: Path) -> dict[str, str]:
    """The image of each task by Label Studio's JSON export, whole or short; empty without one."""
    images: dict[str, str] = {}
    for file in sorted(path.glob("*.json")):
        try:
            tree = json.loads(file.read_text(encoding="utf-8-sig"))
        except ValueError:
            continue
        for task in tree if isinstance(tree, list) else []:
            data = task.get("data", task) if isinstance(task, dict) else None
            values = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
            image = next((value for value in values if PurePosixPath(value).suffix.lower() in SUFFIXES), None)
            if isinstance(task, dict) and image and "id" in task:
                images[str(task["id"])] = image
    return images


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
    direct = any(file.suffix.lower() in SUFFIXES for file in tree.images.iterdir())
    notes = list[Note]()
    table = _table_of(every, table, where, notes)
    return _layout(files_below(tree.images, SUFFIXES, deep=not direct), find_class_masks(tree), table, where, notes)


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
