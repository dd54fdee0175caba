"""A contact sheet: rows of images with captions, and one legend for all of them.

    title
    head        head        head        head       legend
    [ cell ]    [ cell ]    [ cell ]    [ cell ]   swatch name share
    caption                 caption                ...

Axes: H W rows and columns of an image, _h _w of a drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from cgrseg.classes import ClassTable
from cgrseg.draw import FAINT_INK, INK, PAPER, Drawing, Entry, entries_of, legend, line_px, overlay, percent
from cgrseg.draw.fonts import drawable, ellipsis_for, font
from cgrseg.types import IGNORE, Colour, Image, LabelMap, Size

CELL_PX: Size = (240, 320)
"""Height and width of a cell; images are scaled to fit."""
MARGIN_PX, GAP_PX = 32, 16
TITLE_PX, HEAD_PX, TEXT_PX = 24, 17, 15
MOST_ENTRIES = 24
"""Most classes listed in a legend; the last line counts the others."""
DIM = 0.25
"""Opacity of an image where it has no label, 0..1."""
UNLABELLED: Colour = (48, 48, 48)
MAT: Colour = (238, 238, 235)
"""Background of an image that does not fill its cell."""


@dataclass(frozen=True, eq=False)
class Cell:
    """An image on the sheet, with its labels as an overlay if it has any."""

    image: Image
    labels: LabelMap | None = None
    caption: str = ""


def contact_sheet(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], classes: ClassTable, areas: dict[str, float]
) -> Drawing:
    """Draw rows of cells below the heads of their columns, and a legend of the classes in `areas` on the right.

    Args:
        title: text above everything else.
        heads: text above each column.
        rows: cells, one for each head in every row.
        classes: names and colours.
        areas: share of each class that occurs, 0..1; the rest up to 1 is listed as having no label.
    """
    step, head = CELL_PX[0] + line_px(TEXT_PX) + GAP_PX, line_px(HEAD_PX)
    widths = [max(_fitted(row[column].image)[1] for row in rows) for column in range(len(heads))]
    lefts = [MARGIN_PX + sum(widths[:column]) + column * GAP_PX for column in range(len(heads) + 1)]
    top, right = MARGIN_PX + 2 * TITLE_PX + head, lefts[-1] + GAP_PX
    panel = _legend(classes, areas, len(rows) * step - GAP_PX)
    high = max(len(rows) * step - GAP_PX, panel.shape[0])
    sheet = Pillow.new("RGB", (right + panel.shape[1] + MARGIN_PX, top + high + MARGIN_PX), PAPER)
    pen = ImageDraw.Draw(sheet)
    title = drawable(title)
    pen.text((MARGIN_PX, MARGIN_PX), title, INK, font(TITLE_PX, title), anchor="lt")
    for column, name in enumerate(heads):
        pen.text((lefts[column], top - head), name, INK, font(HEAD_PX))
        for index, row in enumerate(rows):
            room = lefts[column], top + index * step, lefts[column] + widths[column], top + index * step + CELL_PX[0]
            _draw_cell(sheet, row[column], classes, room)
    pen.text((right, top - head), "Share of the pixels", INK, font(HEAD_PX))
    sheet.paste(Pillow.fromarray(panel), (right, top))
    return np.array(sheet)


def _legend(classes: ClassTable, areas: dict[str, float], high: int) -> Drawing:
    """A legend at most `high` pixels high, in as many columns as it needs; the share without label comes last."""
    ordered = dict(sorted(areas.items(), key=lambda item: -item[1]))
    present, blank = entries_of(classes, ordered), 1 - sum(areas.values(), 0.0)
    others = list(ordered.values())[MOST_ENTRIES:]
    more = [Entry(f"{len(others)} more classes", percent(sum(others)), PAPER)] if others else []
    last = [Entry("no label", percent(blank), UNLABELLED)] if blank > 1e-9 else []
    entries = [*present[:MOST_ENTRIES], *more, *last]
    rows = max(1, min(len(entries), high // line_px(TEXT_PX)))
    return legend(entries, TEXT_PX, rows, ceil(len(entries) / rows) if entries else 1)


def _fitted(image: Image) -> Size:
    """Size of an image scaled to fit a cell."""
    height, width = image.shape[:2]
    scale = min(CELL_PX[0] / height, CELL_PX[1] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _draw_cell(sheet: Pillow.Image, cell: Cell, classes: ClassTable, room: tuple[int, int, int, int]) -> None:
    """Draw a cell at `room` (left, top, right, bottom), its image centred and its caption below."""
    left, top, right, bottom = room
    pen, (height, width) = ImageDraw.Draw(sheet), _fitted(cell.image)
    pen.rectangle((left, top, right - 1, bottom - 1), MAT)
    painted = Pillow.fromarray(_painted(cell, classes, (height, width)))
    sheet.paste(painted, ((left + right - width) // 2, (top + bottom - height) // 2))
    caption = _shortened(drawable(cell.caption), right - left)
    pen.text((left, bottom + line_px(TEXT_PX) / 2), caption, FAINT_INK, font(TEXT_PX, caption), anchor="lm")


def _painted(cell: Cell, classes: ClassTable, size: Size) -> Drawing:
    """Image of a cell at its size on the sheet; labels are an overlay, and unlabelled pixels are dimmed."""
    shrinks = size[0] < cell.image.shape[0]
    image = cv2.resize(cell.image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    if cell.labels is None:
        return np.asarray(image)
    labels = cv2.resize(cell.labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    painted = overlay(image, labels, classes)
    ignored = labels == IGNORE
    painted[ignored] = (image[ignored] * DIM + np.array(UNLABELLED) * (1 - DIM)).astype(np.uint8)
    return painted


def _shortened(text: str, room_px: int) -> str:
    """Shorten a caption that is too wide: an ellipsis replaces its beginning, because names differ at their ends."""
    letters = font(TEXT_PX, text)
    if letters.getlength(text) <= room_px:
        return text
    start = ellipsis_for(text)
    first = next(n for n in range(len(text) + 1) if letters.getlength(start + text[n:]) <= room_px or n == len(text))
    return start + text[first:]
