"""`cgrseg predict`: from images to label maps."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgrseg.cli import options
from cgrseg.cli.progress import bar, say
from cgrseg.cli.rasters import (
    RasterOptions,
    predict_rasters,
    read_bands,
    require_free_rasters,
    split_rasters,
)
from cgrseg.config import DEFAULT_WEIGHTS

if TYPE_CHECKING:
    from cgrseg.config import Levels
    from cgrseg.predictor import Failure, Segmentation
    from cgrseg.predictor.protocols import ProtocolName
    from cgrseg.predictor.saving import ResultWriter
    from cgrseg.runtime import EngineName

logger = logging.getLogger(__name__)

ALL_FAILED, SOME_FAILED = 1, 3
MOST_SAVERS = 4
"""Results being saved at a time, each in a thread."""


def split_formats(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG001
    """The names of --format, which may be there several times, with commas."""
    return tuple(name.strip() for part in value for name in part.split(",") if name.strip())


@click.command(epilog="\b\nExample:\n  cgrseg predict photos/ -o out/")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("-w", "--weights", default=DEFAULT_WEIGHTS, show_default=True, help="Bundled name, file or hub id.")
@click.option("-o", "--output", type=options.FOLDER, default="out", show_default=True, help="Folder for the results.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    callback=split_formats,
    help="png, overlay, json, npz, rle, labelme, coco, cvat; several with commas.  [default: png,overlay,json]",
)
@options.levels
@click.option("--scale", type=float, help="Rasters: pixels that the network sees for each pixel.  [default: 1]")
@click.option("--bands", callback=read_bands, help="Rasters: the red, green and blue band, such as 4,3,2.")
@click.option("--polygons", type=options.FILE, help="Rasters: write the regions to this GeoJSON file, too.")
@options.protocol
@options.engine
@options.device
@options.threads
def predict(
    sources: tuple[str, ...],
    weights: str,
    output: Path,
    formats: tuple[str, ...],
    levels: "Levels | None",
    scale: float | None,
    bands: tuple[int, ...] | None,
    polygons: Path | None,
    protocol: "ProtocolName",
    engine: "EngineName",
    device: str,
    threads: int | None,
) -> None:
    """Write a label map for every image of SOURCE. A file, a folder or a pattern; an overlay and areas come too.

    Rasters, which have a place on Earth or are too large to be held, become GeoTIFFs.
    """
    import cgrseg
    from cgrseg.data.images import name_images
    from cgrseg.labelmap import warm_up
    from cgrseg.predictor.saving import USUAL, ResultWriter, checked_formats, require_free

    chosen = checked_formats(formats or USUAL)
    started = time.perf_counter()
    named = name_images(sources, skip=output)
    total = len(named)
    raster_options = RasterOptions(scale, bands, polygons)
    rasters, photos = split_rasters(named, raster_options, formats)
    require_free_rasters(rasters, output, raster_options)
    require_free(output, [name for _, name in photos], {path.resolve() for path, _ in named}, chosen)
    warm_up()
    segmenter = cgrseg.load(weights, engine=engine, device=device, threads=threads, protocol=protocol)
    segmenter = segmenter.with_levels(levels)
    warn_of_left_out(sources, output)
    done, whole = predict_rasters(segmenter, rasters, output, raster_options, is_all=not photos)
    damaged = done - whole
    with bar("images", len(photos)) as show, ResultWriter(output, chosen, segmenter.classes) as writer:
        for count, outcome in enumerate(save_all(segmenter.stream_named(photos), writer), start=1):
            done += is_delivered(outcome)
            show(count)
    click.echo(f"{done} of {total} images in {time.perf_counter() - started:.1f} s", err=True)
    if done < total or damaged:
        sys.exit(SOME_FAILED if done else ALL_FAILED)


def warn_of_left_out(sources: tuple[str, ...], output: Path) -> None:
    """Name what the folders and patterns hold besides images."""
    from cgrseg.data.left_out import left_out

    for group in left_out(sources, output):
        logger.warning("%s", group)


def save_all(results: "Iterator[Segmentation | Failure]", writer: "ResultWriter") -> "Iterator[Path | Failure]":
    """Save results while the next ones are made; the path of each result, in order."""
    from cgrseg.predictor import Failure
    from cgrseg.predictor.pipeline import in_order

    def save(result: "Segmentation | Failure") -> "Path | Failure":
        return result if isinstance(result, Failure) else writer.save(result)

    savers = min(MOST_SAVERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(savers, thread_name_prefix="save") as pool:
        for outcome in in_order(results, lambda result: pool.submit(save, result), ahead=savers + 1):
            yield outcome.result()


def is_delivered(outcome: "Path | Failure") -> bool:
    """Print where a result is, or why there is none."""
    from cgrseg.predictor import Failure

    if isinstance(outcome, Failure):
        say(f"cgrseg: error: {outcome.error}", is_error=True)
        return False
    say(outcome)
    return True
