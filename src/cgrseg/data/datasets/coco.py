"""Polygons and masks in COCO's format: one JSON for all images of a split.

    images       id, file_name, height, width
    categories   id, name
    annotations  image_id, category_id, segmentation (polygons or runs), iscrowd

Later annotations cover earlier ones, as in the maps of COCO-Stuff. Crowd regions outline many objects at once: their
pixels have no label, except where other annotations cover them.
"""

import json
from pathlib import Path, PurePosixPath

from cgrseg.classes import named
from cgrseg.data.datasets.labelled import UNLABELLED
from cgrseg.data.datasets.masks import Mask, MaskReader
from cgrseg.data.datasets.table import Table, checked_names, plain_table
from cgrseg.errors import DatasetError


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
