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
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, UInt16

from cgrseg.classes import named
from cgrseg.data.datasets.labelled import UNLABELLED, Pair
from cgrseg.data.datasets.table import Table, checked_names, plain_table
from cgrseg.data.masks import decode_rle, fill_polygon
from cgrseg.errors import DatasetError
from cgrseg.files import read_text
from cgrseg.types import Size

Mask = list | dict
"""A mask in JSON: a list of polygons, or a mapping with `size` and `counts`."""

Masks = dict[str, list[tuple[int, Mask]]]
"""The masks of each image by its name, each with the value of its class."""


@dataclass(frozen=True)
class MaskReader:
    """Paints the label map of an image; sizes and masks are keyed by image name."""

    sizes: dict[str, Size]
    masks: Masks
    unlabelled: int
    crowds: Masks = field(default_factory=dict)
    """Regions without label, except where a mask has their own value."""
    brushed: dict[str, int] = field(default_factory=dict)
    """By category, the number of crowds among `masks`: those that are read as labels."""

    def __call__(self, pair: Pair) -> UInt16[np.ndarray, "H W"]:
        size = self.sizes[pair.name]
        labels = np.full(size, self.unlabelled, np.uint16)
        masks, crowds = self.masks.get(pair.name, []), self.crowds.get(pair.name, [])
        for index, (value, mask) in enumerate([*masks, *crowds]):
            try:
                region = decode_mask(mask, size)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise DatasetError(f"{pair.labels}: mask {index + 1} of {pair.name} is malformed: {error}") from None
            if index < len(masks):
                labels[region] = value
            else:
                labels[region & (labels != value)] = UNLABELLED
        return labels


def decode_mask(mask: Mask, size: Size) -> Bool[np.ndarray, "H W"]:
    """Decode a mask in either format.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: the mask is malformed.
    """
    if isinstance(mask, dict):
        if tuple(mask["size"]) != size:
            raise ValueError(f"its size is {mask['size']}, but the size of the image is {list(size)}")
        return decode_rle(mask["counts"], size)
    if not mask:
        raise ValueError("it has no outline, and boxes are not labels")
    inside = np.zeros(size, bool)
    for polygon in mask:
        inside |= fill_polygon(np.asarray(polygon, np.float64).reshape(-1, 2), size)
    return inside


def read_coco(file: Path, table: Table | None) -> tuple[Table, MaskReader]:
    """Read the classes and the masks of a split; without `table`, the categories are the classes.

    Raises:
        DatasetError: the file is not in COCO's format, or an annotation has a category that `table` does not list.
    """
    try:
        tree = json.loads(read_text(file))
        categories = {entry["id"]: entry["name"] for entry in sorted(tree["categories"], key=lambda entry: entry["id"])}
        table = table or plain_table(named(checked_names(list(categories.values()), f"{file}: categories")))
        return table, _masks(tree, categories, table, file)
    except KeyError as error:
        raise DatasetError(f"{file} is not in COCO's format: {error} is missing") from None
    except (ValueError, AttributeError, TypeError) as error:
        raise DatasetError(f"{file} is not in COCO's format: {error}") from None


def _masks(tree: dict, categories: dict[int, str], table: Table, file: Path) -> MaskReader:
    stems = {image["id"]: PurePosixPath(image["file_name"]).stem for image in tree["images"]}
    sizes = {stems[image["id"]]: (int(image["height"]), int(image["width"])) for image in tree["images"]}
    if len(sizes) < len(tree["images"]):
        count = len(tree["images"])
        raise DatasetError(
            f"{file} lists {count} images by only {len(sizes)} names", advice="give each image a name of its own"
        )
    masks, crowds = Masks({stem: [] for stem in sizes}), Masks({stem: [] for stem in sizes})
    brushed = _mostly_crowds(tree, categories)
    for entry in tree["annotations"]:
        name = categories[entry["category_id"]]
        is_crowd = entry.get("iscrowd", 0) and name not in brushed
        value = table.value_of(name, f"{file}: categories")
        (crowds if is_crowd else masks)[stems[entry["image_id"]]].append((value, entry["segmentation"]))
    return MaskReader(sizes, masks, table.unlabelled, crowds, brushed)


def _mostly_crowds(tree: dict, categories: dict[int, str]) -> dict[str, int]:
    """The categories of which most masks are marked as crowds, with the number of these."""
    of_all = Counter(categories[entry["category_id"]] for entry in tree["annotations"])
    of_crowds = Counter(categories[entry["category_id"]] for entry in tree["annotations"] if entry.get("iscrowd", 0))
    return {name: count for name, count in of_crowds.items() if 2 * count > of_all[name]}
