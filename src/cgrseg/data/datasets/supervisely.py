"""Projects of Supervisely: bitmaps, polygons with holes and rectangles, one JSON for each image.

    meta.json                        the classes, with their colours as #rrggbb
    <data set>/img/x.jpg             data sets called train, val ... are the splits; otherwise all are train
    <data set>/ann/x.jpg.json        objects in the order in which they are drawn

A bitmap is a PNG, compressed again and in base 64, and the column and row at which it begins. The points of polygons
are pixels, and their outline belongs to them; that of a hole belongs to the hole.

Axes: H W image rows and columns, h w those of a bitmap.
"""

import base64
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from PIL import Image as Pillow

from cgrseg.classes import ClassTable, named
from cgrseg.data.datasets.labelled import Layout, Pair, SplitFiles, lookup_of
from cgrseg.data.datasets.layouts import folded, paired
from cgrseg.data.datasets.table import Table, checked_names, read_names
from cgrseg.data.datasets.trees import ALL_NAMES, split_names
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError, reason
from cgrseg.files import read_text, readable
from cgrseg.types import Colour, Size

AGAIN = "export the project again, with images"


@dataclass(frozen=True)
class SuperviselyReader:
    """Draws the label map of an image."""

    table: Table

    def __call__(self, pair: Pair) -> UInt16[np.ndarray, "H W"]:
        try:
            tree = json.loads(read_text(pair.labels))
            size = int(tree["size"]["height"]), int(tree["size"]["width"])
            labels = np.full(size, self.table.unlabelled, np.uint16)
            for number, shape in enumerate(tree["objects"], 1):
                where = f"{pair.labels}: object {number}"
                labels[_region(shape, size, where)] = self.table.value_of(shape["classTitle"], where)
        except KeyError as error:
            raise DatasetError(f"{pair.labels} is not from Supervisely: {error} is missing", advice=AGAIN) from None
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise DatasetError(f"{pair.labels} is not from Supervisely: {reason(error)}", advice=AGAIN) from None
        return labels


def _region(shape: dict, size: Size, where: str) -> Bool[np.ndarray, "H W"]:
    """The pixels of an object."""
    kind = shape.get("geometryType") or shape.get("shape") or ("bitmap" if shape.get("bitmap") else "polygon")
    if kind == "bitmap":
        return _placed(_decoded(shape["bitmap"]["data"], where), shape["bitmap"]["origin"], size)
    if kind not in ("polygon", "rectangle"):
        raise DatasetError(
            f"{where} is a {kind}, which has no area", advice="shapes with one are bitmap, polygon, rectangle"
        )
    outer, *holes = [_corners(points) for points in (shape["points"]["exterior"], *shape["points"].get("interior", []))]
    if kind == "rectangle":
        (left, top), (right, bottom) = outer.min(axis=0), outer.max(axis=0)
        outer = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if len(outer) < 3:
        raise DatasetError(f"{where} is a polygon of {len(outer)} points, which has no area", advice="draw it again")
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [outer], 1)
    for hole in holes:
        cv2.fillPoly(mask, [hole], 0)
    return mask == 1


def _corners(points: list) -> np.ndarray:
    """The pixels of points, (x, y)."""
    return np.floor(np.asarray(points, np.float64).reshape(-1, 2)).astype(np.int32)


def _decoded(data: str, where: str) -> Bool[np.ndarray, "h w"]:
    try:
        with Pillow.open(io.BytesIO(zlib.decompress(base64.b64decode(data)))) as image:
            if image.has_transparency_data:
                return np.array(image.convert("RGBA"))[..., 3] > 0
            values: UInt8[np.ndarray, "h w"] = np.array(image if image.mode == "P" else image.convert("L"))
            return values > 0
    except (ValueError, zlib.error, OSError, TypeError):
        raise DatasetError(
            f"{where} holds a bitmap that is not a compressed PNG in base 64", advice="export the project again"
        ) from None


def _placed(bitmap: Bool[np.ndarray, "h w"], origin: list, size: Size) -> Bool[np.ndarray, "H W"]:
    """The bitmap at its column and row, without what lies outside of the image."""
    mask = np.zeros(size, bool)
    left, top = (int(part) for part in origin)
    rows, columns = slice(max(top, 0), top + bitmap.shape[0]), slice(max(left, 0), left + bitmap.shape[1])
    part = mask[rows, columns]
    part |= bitmap[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
    return mask


def is_supervisely(path: Path) -> bool:
    """Whether a folder is a project: classes with titles in meta.json, and data sets of images and annotations."""
    return _classes(path) is not None and bool(_datasets(path))


def _classes(path: Path) -> list[dict] | None:
    try:
        tree = json.loads(read_text(path / "meta.json"))
    except (OSError, DatasetError, ValueError):
        return None
    entries = tree.get("classes") if isinstance(tree, dict) else None
    is_list = isinstance(entries, list) and all(isinstance(entry, dict) and "title" in entry for entry in entries)
    return entries if is_list else None


def _datasets(path: Path) -> dict[str, Path]:
    """The data sets by their path below the project."""
    folders = sorted(folder.parent for folder in path.rglob("ann") if (folder.parent / "img").is_dir())
    return {folder.relative_to(path).as_posix(): folder for folder in folders}


def _of_split(path: Path, split: str) -> list[Path]:
    """The data sets of a split: those of its name; all of them are `train` if none is called so."""
    datasets = {folder: set(name.lower().split("/")) for name, folder in _datasets(path).items()}
    chosen = [folder for folder, names in datasets.items() if names & set(split_names(split))]
    if chosen or split != "train":
        return chosen
    return [folder for folder, names in datasets.items() if not names & ALL_NAMES]


def has_supervisely_split(path: Path, split: str) -> bool:
    """Whether there are data sets for a split."""
    return bool(_of_split(path, split))


def _files_of(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images and annotations of a data set."""
    images = [file for file in sorted((folder / "img").iterdir()) if file.suffix.lower() in SUFFIXES]
    return [file for file in images if not file.name.startswith(".")], sorted((folder / "ann").glob("[!.]*.json"))


def files_read(path: Path, split: str) -> list[SplitFiles]:
    """The files of the data sets of a split."""
    parts = {folder: _files_of(folder) for folder in _of_split(path, split)}
    return [SplitFiles(folder / "img", folder / "ann", frozenset((*one, *two))) for folder, (one, two) in parts.items()]


def find_supervisely(path: Path, split: str) -> Layout:
    """A split of a project.

    Raises:
        DatasetError: there is no such split, or an image or annotation is missing.
    """
    folders, table = _of_split(path, split), _table(path)
    if not folders:
        names = ", ".join(_datasets(path))
        raise DatasetError(f"{path} has no data set called {split!r}", advice=f"its data sets are {names}")
    images: dict[str, Path] = {}
    labels: dict[str, Path] = {}
    for folder in folders:
        begin = "" if len(folders) == 1 else f"{folder.relative_to(path).as_posix()}/"
        files, annotations = _files_of(folder)
        stems = [folded(file.stem) for file in files]
        names = {file: readable(file.stem if stems.count(folded(file.stem)) == 1 else file.name) for file in files}
        images |= {begin + name: file for file, name in names.items()}
        known = {folded(file.stem): name for file, name in names.items()}
        known |= {folded(file.name): name for file, name in names.items()}  # x.jpg.json; in old projects x.json
        labels |= {begin + known.get(folded(file.stem), readable(file.stem)): file for file in annotations}
    pairs = paired(sorted(images | labels), images, labels, f"split {split!r} of {path}")
    return Layout(table.classes, lookup_of(table.raw, table.ignored), pairs, SuperviselyReader(table))


def _table(path: Path) -> Table:
    """The classes of classes.txt, if the user has written one, else those of the project."""
    if (path / "classes.txt").is_file():
        return read_names(path / "classes.txt")
    entries = _classes(path) or []
    file = path / "meta.json"
    names = checked_names([str(entry["title"]) for entry in entries], f"{file}: classes")
    colours = tuple(
        _colour(entry.get("color"), made) for entry, made in zip(entries, named(names).colours, strict=True)
    )
    return Table(ClassTable(names, colours), tuple(range(len(names))))


def _colour(text: object, made: Colour) -> Colour:
    """The colour of `#rrggbb`; `made` if it is none."""
    try:
        red, green, blue = bytes.fromhex(str(text).removeprefix("#"))
    except ValueError:
        return made
    return red, green, blue
