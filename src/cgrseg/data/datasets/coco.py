"""Polygons and masks in COCO's format: one JSON for all images of a split.

    images       id, file_name, height, width
    categories   id, name
    annotations  image_id, category_id, segmentation (polygons or runs), iscrowd

    polygon [x0 y0 x1 y1 ...]   the pixels whose centre lies inside, by the even-odd rule
    runs {size, counts}         column by column, beginning outside the mask; numbers or COCO's text

Later annotations cover earlier ones, as in the maps of COCO-Stuff. Crowd regions outline many objects at once: their
pixels have no label, except where other annotations cover them.

Axes: H W image rows and columns.
"""

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, UInt16

from cgrseg.classes import named
from cgrseg.data.datasets.labelled import UNLABELLED, Pair
from cgrseg.data.datasets.table import Table, checked_names, plain_table
from cgrseg.data.masks import decode_rle, fill_polygon
from cgrseg.errors import DatasetError
from cgrseg.types import Size

Mask = list | dict
"""A mask in JSON: a list of polygons, or a mapping with `size` and `counts`."""


@dataclass(frozen=True)
class MaskReader:
    """Paints the label map of an image; sizes and masks, each with its value, are keyed by image name."""

    sizes: dict[str, Size]
    masks: dict[str, list[tuple[int, Mask]]]
    unlabelled: int

    def __call__(self, pair: Pair) -> UInt16[np.ndarray, "H W"]:
        size = self.sizes[pair.name]
        labels = np.full(size, self.unlabelled, np.uint16)
        for index, (value, mask) in enumerate(self.masks.get(pair.name, ())):
            try:
                labels[decode_mask(mask, size)] = value
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise DatasetError(f"{pair.labels}: mask {index + 1} of {pair.name} is malformed: {error}") from None
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
        tree = json.loads(file.read_text(encoding="utf-8"))
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
    masks: dict[str, list[tuple[int, Mask]]] = {stem: [] for stem in sizes}
    crowds_first = sorted(tree["annotations"], key=lambda entry: not entry.get("iscrowd", 0))
    for entry in crowds_first:
        name = categories[entry["category_id"]]
        value = UNLABELLED if entry.get("iscrowd", 0) else table.value_of(name, f"{file}: categories")
        masks[stems[entry["image_id"]]].append((value, entry["segmentation"]))
    return MaskReader(sizes, masks, table.unlabelled)
