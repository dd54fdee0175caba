"""Label files of LabelMe: one JSON for each image, with shapes in the order in which they were drawn.

Each shape is drawn as LabelMe's own export draws it, including its outline, and covers earlier ones.

Axes: H W image rows and columns.
"""

import base64
import binascii
import io
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt16
from PIL import Image as Pillow
from PIL import ImageDraw, UnidentifiedImageError

from cgrseg.data.datasets.labelled import UNLABELLED
from cgrseg.data.datasets.table import NOT_A_CLASS, Table
from cgrseg.errors import DatasetError
from cgrseg.files import read_text
from cgrseg.types import Size

CORNERS = {"polygon": 3, "rectangle": 2, "oriented_rectangle": 3, "rotation": 3, "circle": 2, "mask": 2}
"""The shapes that cover an area, and the smallest number of points of each."""
TURNED = ("oriented_rectangle", "rotation")
"""What LabelMe and X-AnyLabeling call a rectangle at an angle, which has its corners as points."""
AGAIN = "export it again from LabelMe"


def read_labelme(file: Path, table: Table, size: Size) -> UInt16[np.ndarray, "H W"]:
    """Draw the label map of a file.

    Args:
        file: a JSON of LabelMe.
        table: the value of each class.
        size: (height, width) of the image, for old files that do not state it.

    Raises:
        DatasetError: the file is not from LabelMe, a shape has no area, or its name is not a class.
    """
    try:
        tree = json.loads(read_text(file))
        height, width = tree.get("imageHeight") or size[0], tree.get("imageWidth") or size[1]
        canvas = Pillow.new("I", (width, height), table.unlabelled)
        for number, shape in enumerate(tree["shapes"], 1):
            where, name = f"{file}: shape {number}", shape["label"]
            _draw(canvas, shape, UNLABELLED if name == NOT_A_CLASS else table.value_of(name, where), where)
    except KeyError as error:
        raise DatasetError(f"{file} is not a JSON of LabelMe: {error} is missing", advice=AGAIN) from None
    except (ValueError, AttributeError, TypeError, OverflowError) as error:
        raise DatasetError(f"{file} is not a JSON of LabelMe: {error}", advice=AGAIN) from None
    return np.array(canvas).astype(np.uint16)


def shape_names(files: Iterable[Path]) -> list[str]:
    """The names of the shapes in files of LabelMe, as far as these can be read."""
    names = set[str]()
    for file in files:
        try:
            names |= {str(shape["label"]) for shape in json.loads(read_text(file))["shapes"]}
        except (OSError, DatasetError, ValueError, KeyError, TypeError):
            continue
    return sorted(names - {NOT_A_CLASS})


def _draw(canvas: Pillow.Image, shape: dict, value: int, where: str) -> None:
    kind = shape.get("shape_type") or "polygon"
    points = [(float(x), float(y)) for x, y in shape["points"]]
    if kind not in CORNERS:
        raise DatasetError(
            f"{where} is a {kind}, which has no area",
            advice=f"shapes with one are {', '.join(CORNERS)}; draw it as one of them, or delete it",
        )
    if len(points) < CORNERS[kind]:
        raise DatasetError(
            f"{where} has {len(points)} points where a {kind} needs {CORNERS[kind]}",
            advice="draw it again, or delete it",
        )
    pen = ImageDraw.Draw(canvas)
    if kind == "rectangle" and len(points) == 2:
        (x, y), (other_x, other_y) = points
        pen.rectangle([min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y)], fill=value, outline=value)
    elif kind in ("polygon", "rectangle", *TURNED):
        pen.polygon(_corners(kind, points), fill=value, outline=value)
    elif kind == "circle":
        (x, y), edge = points[:2]
        radius = math.dist((x, y), edge)
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=value, outline=value)
    else:
        left, top = (round(part) for part in points[0])
        canvas.paste(value, (left, top), _decode_mask(shape["mask"], where))


def _corners(kind: str, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of a polygon or rectangle; of three corners of a rectangle, the fourth follows."""
    if kind == "polygon" or len(points) != 3:
        return points
    (x, y), (middle_x, middle_y), (last_x, last_y) = points
    return [*points, (x + last_x - middle_x, y + last_y - middle_y)]


def _decode_mask(mask: str, where: str) -> Pillow.Image:
    """Decode a mask, a PNG in base 64, as an image of true and false."""
    try:
        with Pillow.open(io.BytesIO(base64.b64decode(mask))) as image:
            return Pillow.fromarray(np.array(image.convert("L")) > 0)
    except (binascii.Error, UnidentifiedImageError, OSError):
        raise DatasetError(f"{where} holds a mask that is not a PNG in base 64", advice="draw it again") from None
