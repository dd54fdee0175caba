"""Small GeoTIFFs for tests."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

UTM = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 0.5, 0.5)}
"""Pixels of half a metre."""


def save_raster(file: Path, image: np.ndarray, **settings: object) -> Path:
    """Write rows, columns and bands as a GeoTIFF of blocks of 256 pixels."""
    height, width, count = image.shape
    shape = {"height": height, "width": width, "count": count, "dtype": image.dtype}
    stored = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    with rasterio.open(file, "w", driver="GTiff", **shape, **(stored | UTM | settings)) as dataset:
        dataset.write(image.transpose(2, 0, 1))
    return file


def blobs(height: int, width: int, step: int = 16, seed: int = 0) -> np.ndarray:
    """An image of squares of random colours, of `step` pixels."""
    rows, columns = -(-height // step), -(-width // step)
    colours = np.random.default_rng(seed).integers(1, 255, (rows, columns, 3), np.uint8)
    return np.ascontiguousarray(colours.repeat(step, axis=0).repeat(step, axis=1)[:height, :width])


def damage(file: Path, row: int, column: int, block: int = 256) -> Path:
    """Overwrite the bytes of one block."""
    with rasterio.open(file) as dataset:
        place = dataset.get_tag_item(f"BLOCK_OFFSET_{column // block}_{row // block}", "TIFF", bidx=1)
    with file.open("r+b") as stream:
        stream.seek(int(place))
        stream.write(bytes(range(64)))
    return file
