"""The part of `cgrseg predict` that is about rasters: its options, and one line of output for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgrseg.cli.progress import bar_of, say
from cgrseg.errors import CGRSegError

if TYPE_CHECKING:
    from cgrseg.predictor import Segmenter

NAMED_DAMAGE = 5
"""Damaged blocks that are named one by one."""


@dataclass(frozen=True)
class RasterOptions:
    """The options for rasters."""

    scale: float | None
    bands: tuple[int, ...] | None
    polygons: Path | None

    @property
    def are_given(self) -> bool:
        """Whether any of them is there, so that every image is to be read as a raster."""
        return any(option is not None for option in (self.scale, self.bands, self.polygons))


def read_bands(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:  # noqa: ARG001
    """The numbers of --bands."""
    if value is None:
        return None
    try:
        return tuple(int(number) for number in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not three numbers with commas, such as 4,3,2") from None


def split_rasters(
    named: Sequence[tuple[Path, str]], options: RasterOptions, formats: Sequence[str]
) -> tuple[list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Rasters, and the other images.

    Raises:
        UsageError: the options do not fit the rasters that there are.
    """
    from cgrseg.sources.raster import is_raster

    rasters, photos = list[tuple[Path, str]](), list[tuple[Path, str]]()
    for path, name in named:
        (rasters if options.are_given or is_raster(path) else photos).append((path, name))
    if rasters and formats:
        raise click.UsageError(f"--format is for photos, and {rasters[0][0]} is a raster; its result is a GeoTIFF")
    if options.polygons is not None and len(rasters) > 1:
        raise click.UsageError(f"--polygons is for one raster, and there are {len(rasters)}")
    return rasters, photos


def require_free_rasters(rasters: Sequence[tuple[Path, str]], output: Path, options: RasterOptions) -> None:
    """Require that results of rasters replace nothing but earlier results, before any work is done."""
    from cgrseg.predictor.raster_files import require_free_raster
    from cgrseg.predictor.raster_polygons import require_free_polygons

    for path, name in rasters:
        require_free_raster(output / name, path)
    if options.polygons is not None:
        require_free_polygons(options.polygons)


def predict_rasters(
    segmenter: "Segmenter", rasters: Sequence[tuple[Path, str]], output: Path, options: RasterOptions, *, is_all: bool
) -> tuple[int, int]:
    """Write the label maps of rasters; how many there are now, and how many of them lack nothing.

    Args:
        segmenter: makes them.
        rasters: the files, and the names of their results.
        output: folder of the results.
        options: for rasters.
        is_all: whether there are no other images, so that the error of a single raster ends the command.
    """
    from cgrseg.predictor.raster import RasterSettings, segment_raster

    settings = RasterSettings(scale=1.0 if options.scale is None else options.scale, bands=options.bands)
    done = whole = 0
    for path, name in rasters:
        try:
            with bar_of(path.name) as show:
                result = segment_raster(segmenter, path, output / name, settings, show, polygons=options.polygons)
        except CGRSegError as error:
            if is_all and len(rasters) == 1:
                raise
            say(f"cgrseg: error: {error}", is_error=True)
            continue
        say(result.file)
        done += 1
        whole += not result.damaged
        for box in result.damaged[:NAMED_DAMAGE]:
            say(f"cgrseg: error: {path}: the block of {box} cannot be decoded; it has no labels", is_error=True)
        if len(result.damaged) > NAMED_DAMAGE:
            more = len(result.damaged) - NAMED_DAMAGE
            say(f"cgrseg: error: {path}: {more} more blocks cannot be decoded; they are in the JSON", is_error=True)
    return done, whole
