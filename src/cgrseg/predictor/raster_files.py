"""The files of a raster's label map: parts while it is made, then a GeoTIFF, a summary and an overlay.

.<name>.tif.part/run.json  0.npz  1.npz ...    which run this is, and what it has done
<name>.tif                                     tiled, compressed, with colours, class names and overviews
<name>.tif.aux.xml                             the class names again, where GDAL and QGIS look for them
<name>.json  <name>_overlay.png                areas; a small drawing
"""

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import Float64, Int64

from cgrseg import __version__, draw
from cgrseg.classes import ClassTable
from cgrseg.data.images import write_image
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.files import locked, replacing, write_json
from cgrseg.predictor.annotation_files import ELSEWHERE
from cgrseg.predictor.raster_polygons import write_polygons
from cgrseg.predictor.saving import files_of_summary
from cgrseg.predictor.segmenter import Segmenter
from cgrseg.sources.ground import Ground, ground_of
from cgrseg.sources.raster import Box, Raster, Span
from cgrseg.types import IGNORE, IGNORE_16, LabelMap

BLOCK = 512
"""Rows of a part, and side of the blocks of a GeoTIFF; of a power of 2, as most rasters are stored."""
ENDS = (".tif", ".tif.aux.xml", "_overlay.png", ".json")
OVERLAY_PX = 2_048
"""The longest side of an overlay, with its legend."""
VIEW_PX = 1_600
"""The longest side of what it shows."""


@dataclass(frozen=True, eq=False)
class Part:
    """Labels of some rows and columns."""

    rows: Span
    columns: Span
    labels: LabelMap
    confidence: float
    """The sum over a sample of its pixels."""
    sampled: int
    """The number of these."""
    damaged: tuple[Box, ...]
    """Blocks of the raster that could not be decoded."""


@dataclass(frozen=True)
class RasterResult:
    """The files written for a raster."""

    file: Path
    """The label map."""
    damaged: tuple[Box, ...]
    """Blocks of the raster that could not be decoded; their pixels have no label."""


class PartFiles:
    """The parts that are done, one file each, in a folder beside the result."""

    def __init__(self, base: Path, raster: Raster, segmenter: Segmenter, settings: str) -> None:
        """Of the result `base`; `settings` tell runs apart, besides the raster and the weights."""
        self.base, self.raster, self.segmenter = base, raster, segmenter
        self.folder = base.with_name(f".{base.name}.tif.part")
        weights = Path(segmenter.weights)
        self._run = {
            "version": __version__,
            "source": [str(raster.path.resolve()), *_state(raster.path)],
            "weights": [segmenter.weights, *(_state(weights) if weights.is_file() else [])],
            "engine": [segmenter.engine.name, str(segmenter.engine.precision)],
            "settings": settings,
        }
        self._stack = ExitStack()

    def __enter__(self) -> "PartFiles":
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._stack.enter_context(locked(self.folder)):
            raise CGRSegError(f"{self.base}.tif is being written by another process", advice="wait for it")
        run = self.folder / "run.json"
        if not self._is_described_by(run):
            for file in self.folder.glob("*.npz"):
                file.unlink()
            write_json(run, self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _is_described_by(self, run: Path) -> bool:
        """Whether the parts in the folder are of the same run."""
        try:
            return json.loads(run.read_text(encoding="utf-8")) == self._run
        except (OSError, ValueError):
            return False

    def make(self, index: int, make: Callable[[], Part]) -> None:
        """Make a part and write it, whole or not at all, unless it is there."""
        if self._file(index).exists():
            return
        part = make()
        boxes = np.array([[*box.rows, *box.columns] for box in part.damaged], np.int64).reshape(-1, 4)
        spans, confidence = np.array([*part.rows, *part.columns]), np.array([part.confidence, part.sampled])
        with replacing(self._file(index)) as unfinished, unfinished.open("wb") as stream:
            np.savez_compressed(stream, labels=part.labels, spans=spans, confidence=confidence, damaged=boxes)

    def read(self, index: int) -> Part:
        """Read a part."""
        with np.load(self._file(index)) as stored:
            top, bottom, left, right = stored["spans"].tolist()
            confidence, sampled = stored["confidence"].tolist()
            boxes = tuple(Box((box[0], box[1]), (box[2], box[3])) for box in stored["damaged"].tolist())
            return Part((top, bottom), (left, right), stored["labels"], confidence, int(sampled), boxes)

    def _file(self, index: int) -> Path:
        return self.folder / f"{index}.npz"


def _state(file: Path) -> list[int]:
    state = file.stat()
    return [state.st_size, state.st_mtime_ns]


def require_free_raster(base: Path, source: Path) -> None:
    """Require that the results replace neither the raster nor anything but earlier results.

    Raises:
        ImageError: they would.
    """
    there = [file for end in ENDS if (file := base.with_name(base.name + end)).exists()]
    if any(file.resolve() == source.resolve() for file in there):
        raise ImageError(f"{source} is one of the images, and a result would replace it", advice=ELSEWHERE)
    known = files_of_summary(base.with_name(f"{base.name}.json"))
    strange = next((file for file in there if file.name[len(base.name) :] not in known), None)
    if strange is not None:
        raise ImageError(f"{strange} exists, and is not the result of an earlier prediction", advice=ELSEWHERE)


@dataclass
class _Totals:
    """Sums over the parts."""

    pixels: Int64[np.ndarray, "H k"]
    """Of each class in each row."""
    confidence: float = 0.0
    sampled: int = 0
    damaged: tuple[Box, ...] = ()

    def add(self, part: Part) -> None:
        for row, labels in enumerate(part.labels, part.rows[0]):
            classes = self.pixels.shape[1]
            self.pixels[row] += np.bincount(labels, minlength=classes)[:classes]
        self.confidence += part.confidence
        self.sampled += part.sampled
        self.damaged = tuple(dict.fromkeys((*self.damaged, *part.damaged)))


def finish(files: PartFiles, total: int, polygons: Path | None) -> RasterResult:
    """Put the parts together, write what belongs to the label map, and remove them."""
    base, raster, classes = files.base, files.raster, files.segmenter.classes
    totals = _Totals(np.zeros((raster.size[0], len(classes)), np.int64))
    whole = files.folder / "labels.tif"
    _write_labels(whole, raster, classes, _counted((files.read(index) for index in range(total)), totals))
    if polygons is not None:
        write_polygons(whole, polygons, classes)
    summary = _summary(files, totals, ground_of(raster.dataset))
    write_json(base.with_name(f"{base.name}.json"), summary)  # first, so that the others are known as results
    whole.replace(base.with_name(f"{base.name}.tif"))
    _write_names(base.with_name(f"{base.name}.tif.aux.xml"), classes)
    shares = {row["name"]: row["area"] for row in summary["classes"]}
    write_image(
        base.with_name(f"{base.name}_overlay.png"),
        _overlay(base.with_name(f"{base.name}.tif"), raster, classes, shares),
    )
    shutil.rmtree(files.folder)
    return RasterResult(base.with_name(f"{base.name}.tif"), totals.damaged)


def _counted(parts: Iterator[Part], totals: _Totals) -> Iterator[Part]:
    for part in parts:
        totals.add(part)
        yield part


def _write_labels(file: Path, raster: Raster, classes: ClassTable, parts: Iterator[Part]) -> None:
    """Write the parts as one GeoTIFF."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    is_small = len(classes) <= IGNORE
    georeference = {} if raster.dataset.transform.is_identity else {"transform": raster.dataset.transform}
    with rasterio.open(
        file,
        "w",
        driver="GTiff",
        height=raster.size[0],
        width=raster.size[1],
        count=1,
        dtype="uint8" if is_small else "uint16",
        nodata=IGNORE if is_small else IGNORE_16,
        crs=raster.dataset.crs,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        compress="deflate",
        bigtiff="if_safer",
        **georeference,
    ) as labels:
        labels.update_tags(software=f"cgrseg {__version__}")
        labels.update_tags(1, **{f"class_{label}": name for label, name in enumerate(classes.names)})
        labels.write_colormap(
            1,
            {label: (*colour, 255) for label, colour in enumerate(classes.colours)}
            | ({IGNORE: (0, 0, 0, 0)} if is_small else {}),
        )
        for part in parts:
            labels.write(part.labels, 1, window=Window.from_slices(part.rows, part.columns))
    factors = [2**power for power in range(1, 12) if max(raster.size) >> power >= BLOCK // 2]
    if factors:
        with rasterio.open(file, "r+") as labels:
            labels.build_overviews(factors, Resampling.nearest)


def _write_names(file: Path, classes: ClassTable) -> None:
    """Write the class names as GDAL's categories."""
    tree = ET.Element("PAMDataset")
    names = ET.SubElement(ET.SubElement(tree, "PAMRasterBand", band="1"), "CategoryNames")
    for name in classes.names:
        ET.SubElement(names, "Category").text = name
    with replacing(file) as unfinished:
        unfinished.write_bytes(ET.tostring(tree, encoding="utf-8"))


def _summary(files: PartFiles, totals: _Totals, ground: Ground) -> dict:
    """The summary of a raster: that of any result, and areas on the ground."""
    raster, segmenter = files.raster, files.segmenter
    rows = _rows(segmenter.classes, totals.pixels, ground.row_areas(raster.size) if ground.unit == "m2" else None)
    return {
        "name": files.base.name,
        "source": str(raster.path),
        "weights": segmenter.weights,
        "height": raster.size[0],
        "width": raster.size[1],
        "confidence": totals.confidence / max(1, totals.sampled),
        "crs": None if ground.crs is None else ground.crs.to_string(),
        "classes": rows,
        "damaged": [{"rows": list(box.rows), "columns": list(box.columns)} for box in totals.damaged],
        "files": sorted(ENDS),
    }


def _rows(classes: ClassTable, pixels: Int64[np.ndarray, "H k"], areas: Float64[np.ndarray, " H"] | None) -> list[dict]:
    """Each class present, the largest first; `area` is its share of the pixels that hold data."""
    counts = pixels.sum(axis=0)
    square_metres = None if areas is None else areas @ pixels
    return [
        {
            "label": int(label),
            "name": classes.names[label],
            "colour": list(classes.colours[label]),
            "pixels": int(counts[label]),
            "area": float(counts[label] / counts.sum()),
        }
        | ({} if square_metres is None else {"square_metres": float(square_metres[label])})
        for label in np.argsort(-counts, kind="stable")
        if counts[label]
    ]


def _overlay(file: Path, raster: Raster, classes: ClassTable, shares: dict[str, float]) -> draw.Drawing:
    """A small drawing of the whole raster."""
    import rasterio

    factor = max(1.0, max(raster.size) / VIEW_PX)
    size = max(1, round(raster.size[0] / factor)), max(1, round(raster.size[1] / factor))
    with rasterio.open(file) as stored:
        labels = stored.read(1, out_shape=size)
    drawing = draw.overlay_with_legend(
        raster.read_resized((0, size[0]), (0, size[1]), size)[0], labels, classes, shares
    )
    excess = max(drawing.shape) / OVERLAY_PX
    if excess <= 1:
        return drawing
    return cv2.resize(drawing, None, fx=1 / excess, fy=1 / excess, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
