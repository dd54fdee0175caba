"""Results as files that annotation programs open for correction, and that know whether they were corrected.

    labelme/<name>.json   one for each image
    coco.json             images, categories and annotations of all images
    cvat.zip              labelmap.txt, SegmentationClass/<name>.png, ImageSets/Segmentation/default.txt

Each file carries a mark; in a JSON it holds a hash of what the file shows, so that corrections are told from results.
"""

import base64
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from PIL import Image as Pillow

from cgrseg.classes import ClassTable
from cgrseg.data.annotations import (
    coco_annotations,
    coco_categories,
    cvat_labelmap,
    cvat_mask,
    cvat_table,
    labelme_shapes,
)
from cgrseg.errors import ImageError
from cgrseg.files import readable, write_json
from cgrseg.types import Size

if TYPE_CHECKING:
    from cgrseg.predictor.result import Segmentation

LABELME, COCO, CVAT = "labelme", "coco.json", "cvat.zip"
MARK = "cgrseg"
"""By this key or comment a file says that it is a result."""
ELSEWHERE = "choose another output folder"
MASKS, LIST, LABELMAP = "SegmentationClass", "ImageSets/Segmentation/default.txt", "labelmap.txt"


def require_own_json(file: Path, key: str) -> None:
    """Require that a JSON is a result, and that what it holds under `key` is as it was written."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        mark = tree[MARK]["digest"]
        is_same = mark == _digest(tree[key])
    except (OSError, ValueError, KeyError, TypeError):
        raise ImageError(f"{file} exists, and is not the result of an earlier prediction", advice=ELSEWHERE) from None
    if not is_same:
        raise ImageError(
            f"{file} was corrected after it was predicted", advice=f"move it to your labels, or {ELSEWHERE}"
        )


def _digest(entries: Sequence[dict]) -> str:
    """A hash of what shapes and annotations show, which other programs keep when they save a file unchanged."""
    keys = ("label", "points", "shape_type", "image_id", "category_id", "segmentation")
    shown = [{key: entry[key] for key in keys if key in entry} for entry in entries]
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


def require_own_archive(file: Path) -> None:
    """Require that an archive is a result.

    Raises:
        ImageError: it is something else.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            is_own = archive.comment == MARK.encode()
    except (OSError, zipfile.BadZipFile):
        is_own = False
    if not is_own:
        raise ImageError(f"{file} exists, and is not the result of an earlier prediction", advice=ELSEWHERE)


def _mark(result_weights: str, entries: Sequence[dict]) -> dict:
    return {"weights": result_weights, "digest": _digest(entries)}


def write_labelme(result: "Segmentation", folder: Path) -> Path:
    """Write a label map as polygons beside which LabelMe finds the image."""
    file = folder / LABELME / f"{result.name}.json"
    shapes = labelme_shapes(result.labels, result.classes)
    path, data = _relative(result.source, file.parent), None
    if path is None:
        path, data = f"{Path(result.name).name}.png", _as_png(result)
    height, width = result.labels.shape
    tree = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": path,
        "imageData": data,
        "imageHeight": height,
        "imageWidth": width,
        MARK: _mark(result.weights, shapes),
    }
    return write_json(file, tree, indent=None)


def _relative(source: Path | None, folder: Path) -> str | None:
    """The path of an image seen from a folder, whole if they are on two drives; None if no JSON can hold it."""
    if source is None or readable(str(source.resolve())) != str(source.resolve()):
        return None
    try:
        return Path(os.path.relpath(source.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return str(source.resolve())


def _as_png(result: "Segmentation") -> str:
    """The image itself, for results that came from no file."""
    stream = io.BytesIO()
    Pillow.fromarray(result.image).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


class CocoResults:
    """The results of a folder in COCO's format; written when closed, with those of earlier runs."""

    def __init__(self, file: Path, classes: ClassTable) -> None:
        """Read what earlier runs wrote.

        Raises:
            ImageError: it has other classes, or is not a result.
        """
        self.file, self.categories, self.weights = file, coco_categories(classes), ""
        self._entries: dict[str, tuple[Size, list[dict]]] = {}
        self._is_changed = False
        if file.exists():
            require_own_json(file, "annotations")
            self._read(json.loads(file.read_text(encoding="utf-8")))

    def _read(self, tree: dict) -> None:
        if tree["categories"] != self.categories:
            raise _other_classes(self.file)
        names = {image["id"]: image["file_name"] for image in tree["images"]}
        self._entries = {image["file_name"]: ((image["height"], image["width"]), []) for image in tree["images"]}
        for entry in tree["annotations"]:
            self._entries[names[entry.pop("image_id")]][1].append(entry)

    def add(self, result: "Segmentation") -> Path:
        """Add a result in place of an earlier one of the same image."""
        name = PurePosixPath(result.name)
        path = name.with_name(readable(result.source.name) if result.source else f"{name.name}.png")
        size = result.labels.shape[0], result.labels.shape[1]
        self._entries[str(path)] = size, coco_annotations(result.labels)
        self.weights, self._is_changed = result.weights, True
        return self.file

    def close(self) -> None:
        """Write the file if a result was added."""
        if not self._is_changed:
            return
        images, annotations = list[dict](), list[dict]()
        for key, (name, ((height, width), entries)) in enumerate(sorted(self._entries.items()), 1):
            images.append({"id": key, "file_name": name, "height": height, "width": width})
            for entry in entries:
                annotations.append({**entry, "id": len(annotations) + 1, "image_id": key})
        tree = {"images": images, "categories": self.categories, "annotations": annotations}
        write_json(self.file, tree | {MARK: _mark(self.weights, annotations)}, indent=None)
        self._is_changed = False


class CvatResults:
    """The results of a folder as an archive of CVAT's segmentation masks 1.1; whole when closed."""

    def __init__(self, file: Path, classes: ClassTable) -> None:
        """Look at the archive of an earlier run.

        Raises:
            ImageError: it has other classes, or is not a result.
            CGRSegError: a class has a name that CVAT cannot read.
        """
        self.file, self.classes, self.table = file, classes, cvat_table(classes)
        self._unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        self._archive: zipfile.ZipFile | None = None
        self._names: set[str] = set()
        if file.exists():
            require_own_archive(file)
            with zipfile.ZipFile(file) as archive:
                if archive.read(LABELMAP).decode() != cvat_labelmap(self.table):
                    raise _other_classes(file)

    def add(self, result: "Segmentation") -> Path:
        """Add a result in place of an earlier one of the same name."""
        stream = io.BytesIO()
        Pillow.fromarray(cvat_mask(result.labels, self.classes, self.table)).save(stream, "PNG")
        if self._archive is None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._archive = zipfile.ZipFile(self._unfinished, "w")
            self._archive.comment = MARK.encode()
        if result.name not in self._names:
            self._archive.writestr(f"{MASKS}/{result.name}.png", stream.getvalue())
            self._names.add(result.name)
        return self.file

    def close(self) -> None:
        """Put the archive in place, with the results of earlier runs that were not predicted again."""
        if self._archive is None:
            return
        with self._archive as archive:
            if self.file.exists():
                self._copy_earlier(archive)
            listed = [f'"{name}"' if " " in name else name for name in sorted(self._names)]
            archive.writestr(LABELMAP, cvat_labelmap(self.table))
            archive.writestr(LIST, "\n".join([*listed, ""]))
        self._archive = None
        self._unfinished.replace(self.file)

    def _copy_earlier(self, archive: zipfile.ZipFile) -> None:
        with zipfile.ZipFile(self.file) as earlier:
            for entry in earlier.namelist():
                name = entry.removeprefix(f"{MASKS}/").removesuffix(".png")
                if entry.startswith(MASKS) and name not in self._names:
                    archive.writestr(entry, earlier.read(entry))
                    self._names.add(name)


def _other_classes(file: Path) -> ImageError:
    return ImageError(f"{file} holds results of weights with other classes", advice=f"move it, or {ELSEWHERE}")
