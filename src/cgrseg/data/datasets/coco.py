"""Polygons and masks in COCO's format: one JSON for all images of a split.

    images       id, file_name, height, width
    categories   id, name
    annotations  image_id, category_id, segmentation (polygons or runs), iscrowd

    polygon [x0 y0 x1 y1 ...]   the pixels whose centre lies inside, by the even-odd rule
    runs {size, counts}         column by column, beginning outside the mask; numbers or COCO's text

Later annotations cover earlier ones, as in the maps of COCO-Stuff. Crowd regions outline many objects at once: their
pixels have no label, except where an annotation of the same category covers them. Programs that mark every drawn mask
as a crowd, as CVAT does, are told by categories of which most masks are crowds: these are read as labels.

Axes: H W image rows and columns.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt16

from cgrseg.classes import named
from cgrseg.data.datasets.labelled import UNLABELLED, Note, Pair
from cgrseg.data.datasets.table import Table, checked_names, plain_table
from cgrseg.data.masks import decode_rle, fill_polygon
from cgrseg.errors import DatasetError
from cgrseg.files import read_text
from cgrseg.types import Size

Mask = list | dict | None
"""A mask in JSON: a list of polygons, or a mapping with `size` and `counts`; None if there is none."""

CORRECT = "correct it, or export the labels again"


class Region(NamedTuple):
    """The mask of an annotation."""

    value: int
    """That of its class."""
    mask: Mask
    name: str
    """What errors call the annotation."""


Regions = dict[str, list[Region]]
"""The masks of each image by its name."""


@dataclass(frozen=True)
class MaskReader:
    """Paints the label map of an image; sizes and masks are keyed by image name."""

    sizes: dict[str, Size]
    masks: Regions
    unlabelled: int
    crowds: Regions = field(default_factory=dict)
    """Regions without label, except where a mask has their own value."""
    brushed: dict[str, int] = field(default_factory=dict)
    """By category, the number of crowds among `masks`: those that are read as labels."""

    def __call__(self, pair: Pair) -> UInt16[np.ndarray, "H W"]:
        size = self.sizes[pair.name]
        labels = np.full(size, self.unlabelled, np.uint16)
        masks, crowds = self.masks.get(pair.name, []), self.crowds.get(pair.name, [])
        for index, (value, mask, name) in enumerate([*masks, *crowds]):
            try:
                region = decode_mask(mask, size)
            except (ValueError, TypeError, OverflowError) as error:
                raise DatasetError(
                    f"{pair.labels}: {name} of {pair.image.name} cannot be read: {error}",
                    advice="draw its outline, or take it out of the file",
                ) from None
            if index < len(masks):
                labels[region] = value
            else:
                labels[region & (labels != value)] = UNLABELLED
        return labels


def decode_mask(mask: object, size: Size) -> Bool[np.ndarray, "H W"]:
    """Decode a mask from JSON: a list of polygons or runs, one polygon, or runs.

    Raises:
        ValueError, TypeError, OverflowError: the mask is malformed, or has no area.
    """
    if not mask:
        raise ValueError("it has no outline, and boxes are not labels")
    if isinstance(mask, dict):
        return _decode_runs(mask, size)
    if not isinstance(mask, list):
        raise TypeError(f"its segmentation is {mask!r:.40}, where polygons or runs are needed")
    parts = [mask] if isinstance(mask[0], int | float) else mask
    inside, corners = np.zeros(size, bool), 0
    for part in parts:
        if isinstance(part, dict):
            inside |= _decode_runs(part, size)
            corners = 3
            continue
        points = np.asarray(part, np.float64).ravel()
        if len(points) % 2 or not np.isfinite(points).all():
            raise ValueError(f"a polygon of it has {len(points)} numbers, where pairs x, y of finite ones are needed")
        corners = max(corners, len(points) // 2)
        if len(points) >= 6:
            inside |= fill_polygon(points.reshape(-1, 2), size)
    if corners < 3:
        raise ValueError(f"its outline has {corners} points, and so no area")
    return inside


def _decode_runs(mask: dict, size: Size) -> Bool[np.ndarray, "H W"]:
    counts, own = mask.get("counts"), mask.get("size")
    if not isinstance(counts, str | list) or not isinstance(own, list):
        raise TypeError("its runs need the keys 'size' and 'counts'")
    if tuple(own) != size:
        raise ValueError(f"its size is {own}, but the size of the image is {list(size)}")
    return decode_rle(counts, size)


@dataclass(frozen=True)
class CocoFile:
    """The contents of a file in COCO's format."""

    table: Table
    read: MaskReader
    paths: dict[str, PurePosixPath]
    """The path of each image by its name."""
    notes: tuple[Note, ...] = ()


def read_coco(file: Path, table: Table | None, others: Sequence[Path] = ()) -> CocoFile:
    """Read the classes, the masks and the images of a split; without `table`, the categories are the classes.

    A category that is only the name of the group that others belong to, as Roboflow's first one, is left out.

    Args:
        file: the JSON.
        table: the classes, if the folder names them.
        others: the files of other splits, in which such a category may have annotations.

    Raises:
        DatasetError: the file is not in COCO's format, or an annotation has a category that `table` does not list.
    """
    tree = read_tree(file)
    categories = {
        _value(entry, "id", "a category", file): str(_value(entry, "name", "a category", file))
        for entry in tree["categories"]
    }
    try:
        categories = dict(sorted(categories.items()))
    except TypeError:
        raise DatasetError(f"{file}: the ids of its categories are not all numbers", advice=CORRECT) from None
    root = None if table else _root_category(tree, [file, *others])
    names = [name for key, name in categories.items() if key != root]
    table = table or plain_table(named(checked_names(names, f"{file}: categories")))
    paths = _paths(tree, file)
    return CocoFile(table, _masks(tree, categories, table, paths, file), _by_name(paths), _root_note(root, categories))


def read_paths(file: Path) -> dict[str, PurePosixPath]:
    """Read the path of each image by its name.

    Raises:
        DatasetError: the file is not in COCO's format.
    """
    return _by_name(_paths(read_tree(file), file))


def read_tree(file: Path) -> dict:
    """Read a JSON with lists of images, categories and annotations.

    Raises:
        DatasetError: it is something else.
    """
    try:
        tree = json.loads(read_text(file))
    except ValueError as error:
        raise DatasetError(f"{file} is not in COCO's format: {error}", advice=CORRECT) from None
    for key in ("images", "categories", "annotations"):
        entries = tree.get(key) if isinstance(tree, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DatasetError(f"{file} is not in COCO's format: it has no list {key!r}", advice=CORRECT)
    return tree


def _value(entry: dict, key: str, what: str, file: Path) -> object:
    if entry.get(key) is None or (key.endswith("id") and not isinstance(entry[key], int | str)):
        raise DatasetError(f"{file}: {what} has no {key!r}: {json.dumps(entry)[:80]}", advice=CORRECT)
    return entry[key]


def _root_category(tree: dict, files: Sequence[Path]) -> object:
    """The id of the category that is only the group of others; None if there is none, or it has annotations."""
    groups = [
        entry["id"]
        for entry in tree["categories"]
        if any(entry["name"] == other.get("supercategory") for other in tree["categories"] if other is not entry)
        and entry.get("supercategory") in ("none", "", None)
    ]
    if len(groups) != 1:
        return None
    used = (entry.get("category_id") for file in files for entry in read_tree(file)["annotations"])
    return None if groups[0] in used else groups[0]


def _root_note(root: object, categories: dict) -> tuple[Note, ...]:
    if root is None:
        return ()
    sentence = f"the category {categories[root]!r} only groups the others and has no annotation, so it is no class"
    return (Note("root-category", sentence, "nothing to do; to keep it, write classes.txt with all names"),)


def _paths(tree: dict, file: Path) -> dict[object, tuple[str, PurePosixPath, Size]]:
    """The name, path and size of each image, by its id."""
    entries: dict[object, tuple[PurePosixPath, Size]] = {}
    for image in tree["images"]:
        path = clean_path(str(_value(image, "file_name", "an image", file)))
        height, width = (_side(_value(image, key, f"the image {path.name}", file)) for key in ("height", "width"))
        if min(height, width) < 1:
            raise DatasetError(f"{file}: the size of {path.name} is not two whole numbers above 0", advice=CORRECT)
        entries[_value(image, "id", f"the image {path.name}", file)] = path, (height, width)
    stems = Counter(path.stem for path, _ in entries.values())
    names = {
        key: path.stem if stems[path.stem] == 1 else str(path.with_suffix("")) for key, (path, _) in entries.items()
    }
    if len(set(names.values())) < len(tree["images"]):
        count, distinct = len(tree["images"]), len(set(names.values()))
        raise DatasetError(
            f"{file} lists {count} images by only {distinct} names", advice="give each image a name of its own"
        )
    return {key: (names[key], path, size) for key, (path, size) in entries.items()}


def _side(value: object) -> int:
    """A side as a whole number; 0 if it is none."""
    return int(value) if isinstance(value, int | float) and value == int(value) else 0


def clean_path(name: str) -> PurePosixPath:
    """A path of any system, without the steps up that lead out of the folder of the data set."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return PurePosixPath(*[part for part in parts if part not in ("..", "/") and not part.endswith(":")])


def _by_name(paths: dict[object, tuple[str, PurePosixPath, Size]]) -> dict[str, PurePosixPath]:
    return {name: path for name, path, _ in paths.values()}


def _masks(
    tree: dict, categories: dict, table: Table, paths: dict[object, tuple[str, PurePosixPath, Size]], file: Path
) -> MaskReader:
    sizes = {name: size for name, _, size in paths.values()}
    masks, crowds = Regions({name: [] for name in sizes}), Regions({name: [] for name in sizes})
    for index, entry in enumerate(tree["annotations"], 1):
        title = f"annotation {entry.get('id', index)}"
        for key, known in (("category_id", categories), ("image_id", paths)):
            what = key.removesuffix("_id")
            if _value(entry, key, title, file) not in known:
                raise DatasetError(
                    f"{file}: {title} has {what} {entry[key]}, which is not listed", advice=_listed(what, known)
                )
    brushed = _mostly_crowds(tree, categories)
    for index, entry in enumerate(tree["annotations"], 1):
        name = categories[entry["category_id"]]
        is_crowd = entry.get("iscrowd", 0) and name not in brushed
        value = table.value_of(name, f"{file}: categories")
        region = Region(value, entry.get("segmentation"), f"annotation {entry.get('id', index)}")
        (crowds if is_crowd else masks)[paths[entry["image_id"]][0]].append(region)
    return MaskReader(sizes, masks, table.unlabelled, crowds, brushed)


def _listed(what: str, known: dict) -> str:
    if what == "category":
        return f"the categories are {', '.join(f'{key} {name}' for key, name in known.items())}"
    return f"{len(known):,} images are listed; {CORRECT}"


def _mostly_crowds(tree: dict, categories: dict) -> dict[str, int]:
    """The categories of which most masks are marked as crowds, with the number of these."""
    of_all = Counter(categories[entry["category_id"]] for entry in tree["annotations"])
    of_crowds = Counter(categories[entry["category_id"]] for entry in tree["annotations"] if entry.get("iscrowd", 0))
    return {name: count for name, count in of_crowds.items() if 2 * count > of_all[name]}
