"""Pascal Context: VOC 2010 labelled pixel by pixel, 59 classes and background.

    VOC2010/JPEGImages/<stem>.jpg
    VOC2010/SegmentationClassContext/<stem>.png  0 = background, 1..59 in alphabetical order; or
    VOC2010/trainval/<stem>.mat                  LabelMap: 1..459, the full list of classes; or
    VOC2010/trainval_merged.json                 masks with ids of the same list, and the split of each image
    VOC2010/ImageSets/SegmentationContext/{train,val}.txt, else those of ImageSets/Main: one stem a line

The first of the three label sources that exists is read. In `pascalcontext60` the background is class 0, with
all classes of the full list that are not among the 59; `pascalcontext59` ignores these pixels.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from cgrseg.classes import published
from cgrseg.data.datasets.coco import MaskReader, Region, Regions
from cgrseg.data.datasets.labelled import Layout, Lookup, Pair, lookup_of, published_layout
from cgrseg.data.datasets.layouts import files_by_stem, folder_of, listed, paired, root_of
from cgrseg.data.datasets.published import as_label_map, read_mat
from cgrseg.errors import DatasetError
from cgrseg.files import read_text
from cgrseg.types import LabelMap

ContextKind = Literal["pascalcontext59", "pascalcontext60"]
LISTS = {"train": "train", "val": "val"}
LAYOUT = "VOC2010 holds JPEGImages/ and SegmentationClassContext/, trainval/ or trainval_merged.json, and ImageSets/"

FULL_LIST = range(460)
"""The ids of the full list of classes, and 0 = unlabelled."""

IDS = (
    *(2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104, 105, 113, 115, 144, 158, 159),
    *(162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296, 308, 324, 326, 347, 349, 354, 355, 360, 366, 368),
    *(397, 415, 416, 420, 424, 427, 440, 445, 454, 458),
)
"""The ids of the 59 classes in the full list; both lists are in alphabetical order."""


def find(path: Path, split: str, kind: ContextKind) -> Layout:
    """A split of Pascal Context; `path` is the folder `VOC2010`, `VOCdevkit` or its parent."""
    root, name = root_of(path, "VOC2010", "VOCdevkit/VOC2010"), folder_of(LISTS, split, kind)
    images = files_by_stem(root / "JPEGImages", (".jpg",), LAYOUT)
    if (root / "SegmentationClassContext").is_dir():
        labels = files_by_stem(root / "SegmentationClassContext", (".png",), LAYOUT)
        return published_layout(kind, _listed_pairs(root, name, images, labels))
    if (root / "trainval").is_dir():
        labels = files_by_stem(root / "trainval", (".mat",), LAYOUT)
        pairs = _listed_pairs(root, name, images, labels)
        return Layout(published(kind), full_list_lookup(kind, FULL_LIST), pairs, read_full_list)
    file = root / "trainval_merged.json"
    masks = read_masks(file, name)
    pairs = paired(masks.sizes, images, dict.fromkeys(masks.sizes, file), f"split {split!r} of {file}")
    return Layout(published(kind), full_list_lookup(kind, (masks.unlabelled,)), pairs, masks)


def _listed_pairs(root: Path, name: str, images: dict[str, Path], labels: dict[str, Path]) -> tuple[Pair, ...]:
    """The pairs of a list of stems; JPEGImages also holds images without labels."""
    own, common = (root / "ImageSets" / folder / f"{name}.txt" for folder in ("SegmentationContext", "Main"))
    listing = own if own.is_file() else common
    return paired(listed(listing, LAYOUT), images, labels, str(listing))


def full_list_lookup(kind: ContextKind, others: Iterable[int]) -> Lookup:
    """The lookup from ids of the full list to classes; `others` are further ids that may occur: background."""
    others = sorted(set(others) - set(IDS))
    lookup = lookup_of(IDS, others)
    if kind == "pascalcontext60":
        lookup = np.where(lookup < len(IDS), lookup + 1, lookup)
        lookup[others] = 0
    return lookup


def read_full_list(pair: Pair) -> LabelMap:
    """Read the label map, the array LabelMap, of a file of the full release."""
    fields = read_mat(pair.labels, ("LabelMap",), "not one of Pascal Context's; download its trainval.tar.gz")
    return as_label_map(fields["LabelMap"], pair.labels)


def read_masks(file: Path, phase: str) -> MaskReader:
    """Read the masks of the images of one phase, `train` or `val`.

    Raises:
        DatasetError: the file is missing or has another structure.
    """
    if not file.is_file():
        raise DatasetError(f"{file.parent} holds no labels", advice=LAYOUT)
    try:
        table = json.loads(read_text(file))
        images = {image["image_id"]: image for image in table["images"] if image["phase"] == phase}
        stems = {key: PurePosixPath(image["file_name"]).stem for key, image in images.items()}
        masks = Regions({stem: [] for stem in stems.values()})
        for mask in table["annos_segmentation"]:
            if mask["image_id"] in stems:
                regions = masks[stems[mask["image_id"]]]
                regions.append(Region(mask["category_id"], mask["segmentation"], f"mask {len(regions) + 1}"))
        sizes = {stems[key]: (int(image["height"]), int(image["width"])) for key, image in images.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{file} is not the trainval_merged.json of Pascal in Detail: {error!r}") from None
    return MaskReader(sizes, masks, unlabelled=0)
