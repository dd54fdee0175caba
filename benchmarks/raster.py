"""Rasters: peak memory and time by size, and how little the grid of tiles shows in the labels.

    python benchmarks/raster.py cost [--size 30000] [--classes 25] [--weights cgrseg-lite-everyday]
    python benchmarks/raster.py quality [--weights cgrseg-lite-everyday] [--photos FOLDER] [--size 3072] [--tile PX]

`cost` makes a sparse raster of noise and nothing, and measures the memory above that of the loaded model and the time,
at this size and at half of it along each side, each in a process of its own. Without `--weights` the network is a
stand-in that costs next to nothing, so that reading, merging and writing are what is measured.

`quality` lays photos side by side and segments the raster, and the same without its first rows and columns, so that the
grid of tiles lies elsewhere: half a tile, and a quarter, which is the farthest that it can lie from itself as tiles
overlap by half. It counts equal labels, and compares disagreement within 16 pixels of the edges of tiles with the rest.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

import cgrseg
from cgrseg.classes import named
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.data.images import find_images, read_image
from cgrseg.machine import forget_peak, peak_memory
from cgrseg.predictor import Segmenter
from cgrseg.predictor.raster import RasterSettings, plan_raster, segment_raster
from cgrseg.types import Image, LabelMap
from cgrseg.weights import WeightsInfo

ASSETS = Path(cgrseg.__file__).parent / "assets"
NEAR_PX = 16
NOISE_PX = 512
"""Side of the blocks of noise."""


class StandIn:
    """An engine that gives logits of the right size at once."""

    name, precision, metadata = "stand-in", "fp32", {}

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __call__(self, images: np.ndarray) -> np.ndarray:
        coarse = images[:, :1, ::8, ::8]
        return np.concatenate([coarse * np.float32(label % 7 - 3) for label in range(self.classes)], axis=1)


def stand_in(classes: int) -> Segmenter:
    """A segmenter with no network."""
    info = WeightsInfo(
        model=ModelConfig(classes=classes),
        classes=named(tuple(f"class {label}" for label in range(classes))),
        inference=InferenceConfig(short_px=512),
    )
    return Segmenter(StandIn(classes), info)


def write_raster(file: Path, image: Image) -> None:
    """Write an image as a GeoTIFF."""
    height, width = image.shape[:2]
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 0.2, 0.2)}
    shape = {"height": height, "width": width, "count": 3, "dtype": "uint8"}
    with rasterio.open(file, "w", driver="GTiff", tiled=True, compress="deflate", **shape, **place) as dataset:
        dataset.write(image.transpose(2, 0, 1))


def write_sparse(file: Path, size: int) -> None:
    """Write a square raster with noise along its diagonal; the rest takes no space."""
    shape = {
        "height": size,
        "width": size,
        "count": 3,
        "dtype": "uint8",
        "blockxsize": NOISE_PX,
        "blockysize": NOISE_PX,
    }
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 0.2, 0.2)}
    noise = np.random.default_rng(0).integers(0, 256, (3, NOISE_PX, NOISE_PX), np.uint8)
    with rasterio.open(
        file, "w", driver="GTiff", tiled=True, compress="deflate", sparse_ok=True, **shape, **place
    ) as out:
        for start in range(0, size - NOISE_PX, 2 * NOISE_PX):
            out.write(noise, window=Window(start, start, NOISE_PX, NOISE_PX))


def one_raster(size: int, classes: int, weights: str | None) -> dict[str, float]:
    """Seconds and memory of one raster, in this process."""
    segmenter = cgrseg.load(weights) if weights else stand_in(classes)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.tif", Path(folder) / "large.tif"
        write_raster(small, np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8))
        segment_raster(segmenter, small, Path(folder) / "out/small")
        write_sparse(large, size)
        before, start, used = forget_peak(), time.perf_counter(), time.process_time()
        segment_raster(segmenter, large, Path(folder) / "out/large")
        seconds, cpu, peak = time.perf_counter() - start, time.process_time() - used, peak_memory()
    added = (peak - before) / 2**20
    return {
        "size": size,
        "seconds": seconds,
        "CPU us/pixel": 1e6 * cpu / size**2,
        "MiB above the loaded model": added,
    }


def mosaic(photos: list[Image], size: int) -> Image:
    """Photos side by side, in rows of one height, without gaps."""
    rows, index, height = list[np.ndarray](), 0, photos[0].shape[0]
    while sum(len(row) for row in rows) < size:
        row = list[np.ndarray]()
        while sum(photo.shape[1] for photo in row) < size:
            photo = photos[index % len(photos)]
            row.append(photo[np.arange(height) * photo.shape[0] // height])
            index += 1
        rows.append(np.concatenate(row, axis=1)[:, :size])
    return np.ascontiguousarray(np.concatenate(rows)[:size])


def labels_of(segmenter: Segmenter, image: Image, settings: RasterSettings) -> LabelMap:
    """The label map of an image as a raster."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "image.tif"
        write_raster(source, image)
        with rasterio.open(segment_raster(segmenter, source, Path(folder) / "out/image", settings).file) as dataset:
            return dataset.read(1)


def quality(segmenter: Segmenter, image: Image, settings: RasterSettings) -> list[dict]:
    """Equal labels and the ratio of disagreement near seams, for two shifts."""
    size = image.shape[0], image.shape[1]
    tiles = plan_raster(size, segmenter, settings).tiles
    labels, rows = labels_of(segmenter, image, settings), list[dict]()
    seams = [np.array([edge for start in axis.starts for edge in (start, start + axis.length)]) for axis in tiles]
    near = [
        np.abs(np.arange(side)[:, None] - edges).min(axis=1) <= NEAR_PX for side, edges in zip(size, seams, strict=True)
    ]
    is_near = near[0][:, None] | near[1]
    for shift in (tiles[0].length // 2, tiles[0].length // 4):
        moved = labels_of(segmenter, np.ascontiguousarray(image[shift:, shift:]), settings)
        inside = slice(tiles[0].length, -tiles[0].length)  # the edges of the raster lie elsewhere, too
        differs = (labels[shift:, shift:] != moved)[inside, inside]
        at_seam = is_near[shift:, shift:][inside, inside]
        ratio = float(differs[at_seam].mean() / max(1e-9, differs[~at_seam].mean()))
        rows.append({"shift_px": shift, "equal": float(1 - differs.mean()), "seams": ratio})
    return rows


def in_own_process(size: int, classes: int, weights: str | None) -> dict[str, float]:
    """`one_raster` in a fresh process."""
    given = ["one", "--size", str(size), "--classes", str(classes), *(["--weights", weights] if weights else [])]
    done = subprocess.run([sys.executable, __file__, *given], capture_output=True, text=True, check=True)  # noqa: S603  this very file
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure, and print a line of JSON for each size or shift."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["cost", "quality", "one"])
    parser.add_argument("--size", type=int, default=30_000)
    parser.add_argument("--classes", type=int, default=25)
    parser.add_argument("--weights")
    parser.add_argument("--photos", type=Path, default=ASSETS)
    parser.add_argument("--tile", type=int)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    if options.what == "one":
        print(json.dumps(one_raster(options.size, options.classes, options.weights)))
        return
    if options.what == "cost":
        for size in (options.size // 2, options.size):
            print(json.dumps(in_own_process(size, options.classes, options.weights)))
        return
    segmenter = cgrseg.load(options.weights or "cgrseg-lite-everyday")
    image = mosaic([read_image(path) for path in find_images(options.photos)], min(options.size, 3072))
    for row in quality(segmenter, image, RasterSettings(tile_px=options.tile, scale=options.scale)):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
