"""The regions of a raster's label map as polygons in GeoJSON, written block by block.

    labels -- blocks of SIDE pixels -- trace --> rings in the reference system -- area --> a line of the file

A region that reaches over several blocks becomes a polygon in each, so that memory holds one block whatever the size.

Axes: n points of a ring.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cgrseg.classes import ClassTable
from cgrseg.errors import ImageError
from cgrseg.files import replacing
from cgrseg.predictor.annotation_files import MARK
from cgrseg.sources.ground import ground_of
from cgrseg.types import ignore_value

if TYPE_CHECKING:
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader

SUFFIXES = (".geojson", ".json")
SIDE = 4_096
"""Pixels of a block along each side."""
HEAD_BYTES = 200
"""Our mark is within the first of a file."""


def require_free_polygons(file: Path) -> None:
    """Require a name of GeoJSON, and that nothing is there but an earlier result.

    Raises:
        ImageError: it is not so.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise ImageError(f"{file}: polygons are written as GeoJSON", advice="use a name that ends in .geojson")
    if not file.exists():
        return
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if f'"{MARK}"'.encode() not in head:
        raise ImageError(f"{file} exists, and is not the result of an earlier prediction", advice="choose another file")


def write_polygons(labels: Path, file: Path, classes: ClassTable) -> None:
    """Write the regions of a label map as polygons in its reference system.

    Each has the properties `class`, `label` and `area_m2`; without a reference system `area_px`.

    Args:
        labels: a GeoTIFF of labels.
        file: of the polygons.
        classes: of the labels.
    """
    import rasterio

    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        rasterio.open(labels) as dataset,
        replacing(file) as unfinished,
        unfinished.open("w", encoding="utf-8") as stream,
    ):
        head = {"type": "FeatureCollection", MARK: {}, **_crs_member(dataset.crs)}
        stream.write(json.dumps(head)[:-1] + ', "features": [')
        before = "\n"
        for feature in _features(dataset, classes):
            stream.write(before + json.dumps(feature, ensure_ascii=False))
            before = ",\n"
        stream.write("\n]}\n")


def _crs_member(crs: "CRS | None") -> dict:
    """The reference system as GeoJSON of 2008 names it, which GDAL and QGIS read; none for longitude and latitude."""
    if crs is None or crs.to_epsg() == 4326:
        return {}
    epsg = crs.to_epsg()
    name = crs.to_wkt() if epsg is None else f"urn:ogc:def:crs:EPSG::{epsg}"
    return {"crs": {"type": "name", "properties": {"name": name}}}


def _features(dataset: "DatasetReader", classes: ClassTable) -> Iterator[dict]:
    from rasterio.features import shapes
    from rasterio.windows import Window, transform

    ground = ground_of(dataset)
    for top in range(0, dataset.height, SIDE):
        for left in range(0, dataset.width, SIDE):
            window = Window.from_slices((top, min(top + SIDE, dataset.height)), (left, min(left + SIDE, dataset.width)))
            labels = dataset.read(1, window=window)
            is_region = labels != ignore_value(labels)
            if not is_region.any():
                continue
            for geometry, label in shapes(labels, is_region, transform=transform(window, dataset.transform)):
                area = ground.polygon_area([np.array(ring, np.float64) for ring in geometry["coordinates"]])
                properties = {"class": classes.names[int(label)], "label": int(label), f"area_{ground.unit}": area}
                yield {"type": "Feature", "properties": properties, "geometry": geometry}
