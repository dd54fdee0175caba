"""Label maps of rasters: read in rows of tiles, merged on the grid of logits, written a part at a time.

    raster -- strips of columns -- rows of tiles -- engine --> MergedLogits --> labels of a part (BLOCK rows)
                                                                                  |
    <name>.tif, <name>.json, <name>_overlay.png  <-- when all parts are there --- parts, each a file

Memory holds a few rows of tiles of one strip, whatever the size of the raster. A run that was killed goes on behind the
last part that it wrote.

Axes: k classes, h w rows and columns of pixels or of the grid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from cgrseg.data.transforms import normalise
from cgrseg.errors import CGRSegError
from cgrseg.labelmap import Axis, label_part, locate
from cgrseg.labelmap.grid import STRIDE
from cgrseg.predictor.protocols import crop_of
from cgrseg.predictor.raster_files import BLOCK, Part, PartFiles, RasterResult, finish, require_free_raster
from cgrseg.predictor.raster_polygons import require_free_polygons
from cgrseg.predictor.segmenter import Segmenter
from cgrseg.predictor.tiling import MergedLogits, TileAxis, tile_axis
from cgrseg.predictor.views import MULTIPLE
from cgrseg.sources.raster import Raster, Span, open_raster
from cgrseg.types import LabelMap, Size, ignore_value

TILE_PX = 1_024
"""The smallest side of tiles, unless another is asked for: labels depend on what a tile shows around them."""
LOGITS_BYTES = 128 * 2**20
"""What the merged logits of a strip may take."""
STRIP_PX = 16_384
"""The widest strip."""
SAMPLE = 8
"""The mean confidence is taken over every so many rows and columns."""


@dataclass(frozen=True, kw_only=True)
class RasterSettings:
    """How a raster is shown to the network."""

    scale: float = 1.0
    """Pixels that the network sees for each pixel of the raster, along each side."""
    bands: tuple[int, ...] | None = None
    """The numbers, from 1, of the red, green and blue band; all, if there are three."""
    tile_px: int | None = None
    """Side of the tiles, in pixels that the network sees; None for twice that of its training crops, or `TILE_PX`."""

    def __post_init__(self) -> None:
        if not 1 / 64 <= self.scale <= 16:
            raise CGRSegError(
                f"scale {self.scale:g} is not from 1/64 to 16",
                advice="use 1 for the raster's own pixels, 0.5 to see it half as large",
                setting="scale",
            )


def segment_raster(
    segmenter: Segmenter,
    source: Path,
    base: Path,
    settings: RasterSettings | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    polygons: Path | None = None,
) -> RasterResult:
    """Write the label map of a raster as a GeoTIFF, with a summary and an overlay.

    What an earlier run with the same settings left unfinished is taken over.

    Args:
        segmenter: of the protocol `whole`.
        source: the raster.
        base: the path of the results, without suffix.
        settings: how the network sees it.
        on_progress: is told how many parts are done, and of how many.
        polygons: a GeoJSON file for the regions, too.

    Raises:
        ImageError: the raster cannot be read, or the results would replace it or something else.
        CGRSegError: another process is at the same raster, or the protocol is another.
        MissingExtra: rasterio is not installed.
    """
    if not segmenter.protocol.is_plain:
        raise CGRSegError(
            "rasters are seen in tiles of their own, at one scale", advice="use 'whole'", setting="protocol"
        )
    settings = settings or RasterSettings()
    require_free_raster(base, source)
    if polygons is not None:
        require_free_polygons(polygons)
    with open_raster(source, settings.bands) as raster, PartFiles(base, raster, segmenter, repr(settings)) as files:
        plan = plan_raster(raster.size, segmenter, settings)
        total = len(plan.strips) * len(plan.rows)
        for done, columns in enumerate(plan.strips):
            strip, first = _Strip(raster, segmenter, plan, columns), done * len(plan.rows)
            for row in range(len(plan.rows)):
                files.make(first + row, lambda strip=strip, row=row: strip.part(row))
                _tell(on_progress, first + row + 1, total)
        return finish(files, total, polygons)


def _tell(on_progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress(done, total)


@dataclass(frozen=True)
class RasterPlan:
    """The parts of a raster and the tiles that the network sees."""

    seen: Size
    """Height and width of the raster as the network sees it."""
    is_native: bool
    """Whether these are the raster's own."""
    tiles: tuple[TileAxis, TileAxis]
    axes: tuple[Axis, Axis]
    """Where the rows and columns of pixels lie on the grid."""
    rows: tuple[Span, ...]
    """Of the parts of a strip."""
    strips: tuple[Span, ...]
    """Their columns."""


def plan_raster(size: Size, segmenter: Segmenter, settings: RasterSettings) -> RasterPlan:
    """Cut a raster into strips and parts, and place the tiles."""
    scale = settings.scale
    tile_px = settings.tile_px or max(TILE_PX, -(-2 * max(crop_of(segmenter.info)) // MULTIPLE) * MULTIPLE)
    seen = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    tiles = tile_axis(seen[0], tile_px), tile_axis(seen[1], tile_px)
    axes = locate(tiles[0].points, size[0], seen[0]), locate(tiles[1].points, size[1], seen[1])
    grid_rows = BLOCK * scale / STRIDE + tiles[0].length / STRIDE
    points = LOGITS_BYTES / (4 * len(segmenter.classes) * grid_rows)
    most = int(min(STRIP_PX / scale, points * STRIDE / scale) - tile_px / scale)
    strips = _spans(size[1], max(BLOCK, most // BLOCK * BLOCK))
    return RasterPlan(seen, seen == size, tiles, axes, _spans(size[0], BLOCK), strips)


def _spans(pixels: int, most: int) -> tuple[Span, ...]:
    return tuple(pairwise([*range(0, pixels, most), pixels]))


class _Strip:
    """Some columns of a raster, from top to bottom."""

    def __init__(self, raster: Raster, segmenter: Segmenter, plan: RasterPlan, columns: Span) -> None:
        self.raster, self.segmenter, self.plan, self.columns = raster, segmenter, plan, columns
        self.points = _points(plan.axes[1], columns)
        down, across = plan.tiles
        self.across = across.touching(self.points[0], self.points[1] - 1)
        most_points = max(end - first for first, end in (_points(plan.axes[0], rows) for rows in plan.rows))
        self.logits = MergedLogits(len(segmenter.classes), most_points + down.length // STRIDE, self.points)
        ends = across.starts[self.across[0]], across.starts[self.across[-1]] + across.length
        self.band = _Band(raster, plan.seen, ends)
        self.next_tiles = 0

    def part(self, row: int) -> Part:
        """The labels of one part; those above it must have been asked for before, or never."""
        rows, down = self.plan.rows[row], self.plan.tiles[0]
        first, end = _points(self.plan.axes[0], rows)
        touching = down.touching(first, end - 1)
        added = range(max(touching.start, self.next_tiles), touching.stop)
        tops = [down.starts[index] for index in added]
        self.logits.move_to(first)
        kept = [*tops, rows[0]] if self.plan.is_native else tops
        if kept:
            self.band.move_to(min(kept))
        valid = self._valid(rows)
        for index in added:
            self._add_tiles(index)
        self.next_tiles = touching.stop
        return self._label(rows, (first, end), valid)

    def _valid(self, rows: Span) -> Bool[np.ndarray, "h w"]:
        """Which pixels of a part hold data."""
        if not self.plan.is_native:
            return self.raster.read(rows, self.columns)[1]
        left = self.band.columns[0]
        return self.band.take(rows)[1][:, self.columns[0] - left : self.columns[1] - left]

    def _add_tiles(self, index: int) -> None:
        """Run the network on one row of tiles; those without any data are left out."""
        down, across = self.plan.tiles
        top, info = down.starts[index], self.segmenter.info
        image, valid = self.band.take((top, top + down.length))
        weight = down.weight(index)
        for column in self.across:
            left = across.starts[column]
            inside = slice(left - self.band.columns[0], left - self.band.columns[0] + across.length)
            if not valid[:, inside].any():
                continue
            tile = normalise(np.ascontiguousarray(image[:, inside]), info.mean, info.std)
            tile[:, ~valid[:, inside]] = 0
            logits = self.segmenter.logits(tile[None])[0]
            self.logits.add(logits, (top // STRIDE, left // STRIDE), weight[:, None] * across.weight(column))

    def _label(self, rows: Span, points: Span, valid: Bool[np.ndarray, "h w"]) -> Part:
        logits = self.logits.part(*points)
        down = self.plan.axes[0].part(slice(*rows), points[0])
        along = self.plan.axes[1].part(slice(*self.columns), self.points[0])
        labels: LabelMap = label_part(logits, down, along, threads=self.segmenter.threads)
        labels[~valid] = ignore_value(labels)
        damaged = tuple(dict.fromkeys(self.raster.damaged))
        self.raster.damaged.clear()
        logits /= np.float32(self.segmenter.info.temperature)
        confidence = confidence_at(logits, (down, along))[valid[SAMPLE // 2 :: SAMPLE, SAMPLE // 2 :: SAMPLE]]
        return Part(rows, self.columns, labels, float(confidence.sum(dtype=np.float64)), confidence.size, damaged)


def confidence_at(logits: Float32[np.ndarray, "k _ _"], axes: tuple[Axis, Axis]) -> Float32[np.ndarray, "_ _"]:
    """The highest probability at the grid point that is nearest to every `SAMPLE`th row and column of pixels."""
    exponents = logits - logits.max(axis=0)
    best = 1 / np.exp(exponents, out=exponents).sum(axis=0)
    rows, columns = ((axis.cell + (axis.share > 0.5))[SAMPLE // 2 :: SAMPLE] for axis in axes)
    return best[np.ix_(rows, columns)]


def _points(axis: Axis, pixels: Span) -> Span:
    """The first grid point that some pixels are blended from, and the end of these points."""
    return int(axis.cell[pixels[0]]), int(axis.cell[pixels[1] - 1]) + 2


class _Band:
    """Some columns of a raster as the network sees them; rows are read once, from top to bottom."""

    def __init__(self, raster: Raster, seen: Size, columns: Span) -> None:
        self.raster, self.seen, self.columns = raster, seen, columns
        self._top = 0
        self._image = np.zeros((0, columns[1] - columns[0], 3), np.uint8)
        self._valid = np.zeros(self._image.shape[:2], bool)

    def move_to(self, top: int) -> None:
        """Forget the rows above `top`."""
        gone = top - self._top
        self._image, self._valid, self._top = self._image[gone:].copy(), self._valid[gone:].copy(), top

    def take(self, rows: Span) -> tuple[UInt8[np.ndarray, "h _ 3"], Bool[np.ndarray, "h _"]]:
        """Rows of the strip, and which pixels hold data; what lies beyond the raster repeats its edge."""
        read = self._top + len(self._image)
        if rows[1] > read:
            whole = -(-self.seen[0] // STRIDE) * STRIDE
            end = -(-rows[1] // BLOCK) * BLOCK  # of whole blocks of most files, so that none is decoded twice
            image, valid = self._read((read, max(rows[1], min(end, whole))))
            self._image, self._valid = np.concatenate([self._image, image]), np.concatenate([self._valid, valid])
        inside = slice(rows[0] - self._top, rows[1] - self._top)
        return self._image[inside], self._valid[inside]

    def _read(self, rows: Span) -> tuple[UInt8[np.ndarray, "h _ 3"], Bool[np.ndarray, "h _"]]:
        (top, bottom), (left, right) = (
            (span[0], min(span[1], whole)) for span, whole in zip((rows, self.columns), self.seen, strict=True)
        )
        beyond = ((0, rows[1] - bottom), (0, self.columns[1] - right))
        if self.seen == self.raster.size:
            image, valid = self.raster.read((top, bottom), (left, right))
        else:
            image, valid = self.raster.read_resized((top, bottom), (left, right), self.seen)
        return np.pad(image, (*beyond, (0, 0)), mode="edge"), np.pad(valid, beyond, mode="edge")
