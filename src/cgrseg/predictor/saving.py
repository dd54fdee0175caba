"""Writing results: a file for each image and format, and one for all images of a folder where a format wants that.

    <folder>/<name>.png  <name>_overlay.jpg  <name>.json  <name>.npz  <name>_rle.json    label maps, and what they show
    <folder>/labelme/<name>.json     for LabelMe; holes are kept by the order of the shapes
    <folder>/coco.json               for CVAT and others; one for all images
    <folder>/cvat.zip                for CVAT, as "segmentation mask 1.1"; one for all images

Nothing is replaced but results of earlier runs, and of these none that somebody has corrected since: each file says by
itself that it is a result. The summary <name>.json lists the other files of its image, and is written with any of them.
"""

import json
from collections.abc import Callable, Iterable, Sequence, Set
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from cgrseg import draw
from cgrseg.classes import ClassTable
from cgrseg.data.images import write_image, write_palette_png
from cgrseg.data.masks import find_runs
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.files import replacing, write_json
from cgrseg.predictor.annotation_files import (
    COCO,
    CVAT,
    ELSEWHERE,
    LABELME,
    CocoResults,
    CvatResults,
    require_own_archive,
    require_own_json,
    write_labelme,
)

if TYPE_CHECKING:
    from cgrseg.predictor.result import Segmentation

Format = Literal["png", "overlay", "json", "npz", "rle", "labelme", "coco", "cvat"]
FORMATS: tuple[Format, ...] = get_args(Format)
USUAL: tuple[Format, ...] = ("png", "overlay", "json")

JPEG_PX = 60_000
"""A longer side does not fit in a JPEG."""
ENDINGS: dict[Format, tuple[str, ...]] = {
    "png": (".png",),
    "overlay": ("_overlay.jpg", "_overlay.png"),
    "json": (".json",),
    "npz": (".npz",),
    "rle": ("_rle.json",),
}
"""What may follow the name of a result in the names of its files."""
EARLIER = (".png", "_overlay.jpg", "_overlay.png", ".json")
"""The files of a summary that does not list them, as older versions wrote it."""


def checked_formats(formats: Sequence[str]) -> tuple[Format, ...]:
    """The formats of these names.

    Raises:
        CGRSegError: one does not exist, or there is none.
    """
    known: dict[str, Format] = {name: name for name in FORMATS}
    wrong = next((name for name in formats if name not in known), None)
    if wrong is not None or not formats:
        problem = f"no format of results is called {wrong!r}" if formats else "no format of results is given"
        raise CGRSegError(problem, advice=f"the formats are {', '.join(FORMATS)}", setting="formats")
    chosen: list[Format] = [known[name] for name in dict.fromkeys(formats)]
    return tuple(chosen)


class ResultWriter:
    """Writes results to a folder; `coco` and `cvat` when it is closed. `save` may be called from several threads.

    Results of earlier runs in `coco` and `cvat` stay, unless an image is predicted again.
    """

    def __init__(self, folder: Path, formats: Sequence[str], classes: ClassTable) -> None:
        """`formats` are of `FORMATS`.

        Raises:
            ImageError: a file is there that is not the result of an earlier prediction, or has other classes.
        """
        self.folder, self.formats, self.classes = folder, checked_formats(formats), classes
        self._lock = Lock()
        self._coco = CocoResults(folder / COCO, classes) if "coco" in self.formats else None
        self._cvat = CvatResults(folder / CVAT, classes) if "cvat" in self.formats else None

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save(self, result: "Segmentation") -> Path:
        """Write the files of one result, and return the path of the first format's."""
        base = self.folder / result.name
        self._require_free(result)
        try:
            ends = [_ending(name, result) for name in self.formats if name in ENDINGS]
            paths = dict[Format, Path]()
            if ends:
                paths["json"] = _write_summary(result, base, ends)
            paths |= {name: WRITERS[name](result, base) for name in self.formats if name in WRITERS}
            if "labelme" in self.formats:
                paths["labelme"] = write_labelme(result, self.folder)
            with self._lock:
                paths |= {name: file.add(result) for name, file in (("coco", self._coco), ("cvat", self._cvat)) if file}
        except OSError as error:
            raise ImageError(f"{base.parent}: cannot write results there: {error.strerror or error}") from None
        return paths[self.formats[0]]

    def _require_free(self, result: "Segmentation") -> None:
        """Require that the result's own files are free; those of all results were checked at the start."""
        own: list[Format] = [name for name in self.formats if name not in ("coco", "cvat")]
        require_free(self.folder, [result.name], {result.source.resolve()} if result.source else set(), own)

    def close(self) -> None:
        """Write the files that hold all results."""
        try:
            for file in (self._coco, self._cvat):
                if file:
                    file.close()
        except OSError as error:
            raise ImageError(f"{self.folder}: cannot write results there: {error.strerror or error}") from None


def require_free(folder: Path, names: Iterable[str], images: Set[Path], formats: Sequence[Format] = USUAL) -> None:
    """Require that results of these names replace no image and nothing else but results of earlier predictions.

    Args:
        folder: of the results.
        names: of the results.
        images: resolved paths of the images.
        formats: of the results.

    Raises:
        ImageError: a result would replace one of these images, a file that is not a result, or one that was corrected.
    """
    ends = [end for name in formats for end in ENDINGS.get(name, ())]
    for name in names:
        base = folder / name
        files = [base.with_name(base.name + end) for end in dict.fromkeys((*ends, ".json"))] if ends else []
        there = [file for file in files if file.exists()]
        corrected = folder / LABELME / f"{name}.json"
        image = next((file for file in (*there, corrected) if file.exists() and file.resolve() in images), None)
        if image is not None:
            raise ImageError(f"{image} is one of the images, and a result would replace it", advice=ELSEWHERE)
        known = files_of_summary(base.with_name(base.name + ".json")) if there else ()
        strange = next((file for file in there if file.name[len(base.name) :] not in known), None)
        if strange is not None:
            raise ImageError(f"{strange} exists, and is not the result of an earlier prediction", advice=ELSEWHERE)
        if "labelme" in formats and corrected.exists():
            require_own_json(corrected, "shapes")
    if "coco" in formats and (folder / COCO).exists():
        require_own_json(folder / COCO, "annotations")
    if "cvat" in formats and (folder / CVAT).exists():
        require_own_archive(folder / CVAT)


def files_of_summary(file: Path) -> Sequence[str]:
    """The endings of the files that a summary lists, its own included; none if the file is something else."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    if not isinstance(tree, dict) or not {"weights", "confidence", "classes"} <= tree.keys():
        return ()
    return tree.get("files", EARLIER)


def _named(base: Path, end: str) -> Path:
    base.parent.mkdir(parents=True, exist_ok=True)
    return base.with_name(base.name + end)


def _write_png(result: "Segmentation", base: Path) -> Path:
    file = _named(base, ".png")
    write_palette_png(file, result.labels, result.classes.colours)
    return file


def _write_overlay(result: "Segmentation", base: Path) -> Path:
    file = _named(base, _ending("overlay", result))
    write_image(file, draw.overlay_with_legend(result.image, result.labels, result.classes, result.areas()))
    return file


def _write_npz(result: "Segmentation", base: Path) -> Path:
    file = _named(base, ".npz")
    with replacing(file) as unfinished, unfinished.open("wb") as stream:
        np.savez_compressed(stream, labels=result.labels, confidence=result.confidence)
    return file


def _write_rle(result: "Segmentation", base: Path) -> Path:
    runs = find_runs(result.labels)
    rows = [row | {"mask": runs.mask(row["label"])} for row in result.rows()]
    return write_json(_named(base, "_rle.json"), result.summary() | {"classes": rows})


WRITERS: dict[Format, Callable[["Segmentation", Path], Path]] = {
    "png": _write_png,
    "overlay": _write_overlay,
    "npz": _write_npz,
    "rle": _write_rle,
}


def _ending(name: Format, result: "Segmentation") -> str:
    """The ending after the name of a result in a format."""
    return ENDINGS[name][1 if name == "overlay" and max(result.labels.shape) >= JPEG_PX else 0]


def _write_summary(result: "Segmentation", base: Path, ends: Sequence[str]) -> Path:
    """Write the summary, which lists the files of this run and those of earlier ones.

    It is written first, so that files of a run that was killed are known as results.
    """
    summary = _named(base, ".json")
    earlier = [end for end in files_of_summary(summary) if base.with_name(base.name + end).exists()]
    return write_json(summary, result.summary() | {"files": sorted({*ends, ".json", *earlier})})
