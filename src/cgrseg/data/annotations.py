"""Label maps as annotation programs open them: polygons of LabelMe, run lengths of COCO, masks of CVAT.

    label map --+-- 4-connected regions, the enclosing ones first -- outlines --> shapes of LabelMe
                +-- runs of each class -----------------------------------------> annotations of COCO
                +-- the colour of each class -----------------------------------> mask of CVAT

Reading them again gives the same pixels. For LabelMe, which has no holes, this holds because shapes are drawn in order
and with their outline: a polygon goes through the centres of the outermost pixels of a region and covers its holes, and
what lies in these is drawn later. The box of a region is always larger than that of any region in its holes.

Axes: H W image rows and columns, p points.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float64, UInt8

from cgrseg.classes import ClassTable, named
from cgrseg.data.masks import find_runs
from cgrseg.errors import CGRSegError
from cgrseg.types import Colour, Image, LabelMap, ignore_value

NOT_A_CLASS = "__ignore__"
"""LabelMe's name for shapes without label."""
BACKGROUND = "background"
"""CVAT's name for what nobody drew, which every labelmap.txt has."""
BLACK: Colour = (0, 0, 0)
FEWEST_POINTS = 3
"""LabelMe opens no polygon with fewer; those of one or two pixels repeat a point."""
Box = tuple[int, int, int, int]
"""Left, top, width and height."""


def labelme_shapes(labels: LabelMap, classes: ClassTable) -> list[dict]:
    """The regions of a label map as polygons, in the order in which LabelMe draws them."""
    regions = list[tuple[int, str, Float64[np.ndarray, "p 2"]]]()
    for label in np.unique(labels).tolist():
        name = NOT_A_CLASS if label == ignore_value(labels) else classes.names[label]
        regions += [(width * height, name, points) for (_, _, width, height), points in _outlines(labels == label)]
    regions.sort(key=lambda region: -region[0])
    return [
        {"label": name, "points": points.tolist(), "group_id": None, "shape_type": "polygon", "flags": {}}
        for _, name, points in regions
    ]


def _outlines(mask: Bool[np.ndarray, "H W"]) -> list[tuple[Box, Float64[np.ndarray, "p 2"]]]:
    """The box and the outline of each 4-connected region, through the centres of its pixels."""
    count, regions, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    outlines = []
    for index in range(1, count):
        left, top, width, height = (int(side) for side in stats[index][:4])
        part = (regions[top : top + height, left : left + width] == index).astype(np.uint8)
        contours, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        points = contours[0].reshape(-1, 2) + np.array([left + 0.5, top + 0.5])
        points = np.concatenate([points, np.repeat(points[-1:], max(FEWEST_POINTS - len(points), 0), axis=0)])
        outlines.append(((left, top, width, height), points))
    return outlines


def coco_categories(classes: ClassTable) -> list[dict]:
    """The classes as COCO's categories, with ids from 1 on."""
    return [{"id": label + 1, "name": name, "supercategory": ""} for label, name in enumerate(classes.names)]


def coco_annotations(labels: LabelMap) -> list[dict]:
    """The mask of each class as an annotation of COCO, without the ids of the annotation and its image."""
    runs, annotations = find_runs(labels), []
    for label in np.unique(labels).tolist():
        if label == ignore_value(labels):
            continue
        mask = labels == label
        rows, columns = (np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0))
        left, top = int(columns[0]), int(rows[0])
        annotations.append(
            {
                "category_id": label + 1,
                "segmentation": runs.mask(label),
                "area": int(np.count_nonzero(mask)),
                "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
                "iscrowd": 0,
            }
        )
    return annotations


def cvat_table(classes: ClassTable) -> ClassTable:
    """The classes of a labelmap.txt: a background in any case, and a colour of its own for each class.

    Raises:
        CGRSegError: the name of a class cannot be written there.
    """
    wrong = next((name for name in classes.names if ":" in name or name.startswith("#")), None)
    if wrong is not None:
        raise CGRSegError(
            f"the class {wrong!r} has no place in CVAT's labelmap.txt, in which ':' and '#' have a meaning",
            advice="give the class another name, or choose the format coco",
        )
    names, colours = list(classes.names), list(classes.colours)
    if BACKGROUND not in names:
        names, colours = [BACKGROUND, *names], [BLACK, *colours]
    spare = iter(named(tuple(map(str, range(4 * len(names) + 4)))).colours)
    unique = list[Colour]()
    for name, colour in zip(names, colours, strict=True):
        is_taken = colour in unique or (colour == BLACK and name != BACKGROUND)
        free = (other for other in spare if other not in unique and other not in colours)
        unique.append(next(free) if is_taken else colour)
    return ClassTable(tuple(names), tuple(unique))


def cvat_labelmap(table: ClassTable) -> str:
    """The text of labelmap.txt."""
    lines = [f"{name}:{','.join(map(str, colour))}::" for name, colour in zip(table.names, table.colours, strict=True)]
    return "\n".join(["# label:color_rgb:parts:actions", *lines, ""])


def cvat_mask(labels: LabelMap, classes: ClassTable, table: ClassTable) -> Image:
    """A label map in the colours of a labelmap.txt; unlabelled pixels are background."""
    colours: UInt8[np.ndarray, "v 3"] = np.empty((ignore_value(labels) + 1, 3), np.uint8)
    colours[:] = table.colours[table.names.index(BACKGROUND)]
    for label, name in enumerate(classes.names):
        colours[label] = table.colours[table.names.index(name)]
    return colours[labels]
