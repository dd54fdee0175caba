"""Drawings of label maps: flat colours, an overlay on the image, and the overlay with a legend.

    image, labels -- blend, outline ---------> overlay --+
    areas -- sort, cut, arrange in columns --> legend ---+--> one drawing

Axes: H W rows and columns of the image, _h _w of a drawing.
"""

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image as Pillow
from PIL import ImageDraw

from cgrseg.classes import ClassTable
from cgrseg.draw.fonts import class_name, ellipsis_for, font
from cgrseg.types import Colour, Image, LabelMap

Drawing = UInt8[np.ndarray, "_h _w 3"]

PAPER: Colour = (250, 250, 248)
INK: Colour = (38, 40, 44)
FAINT_INK: Colour = (120, 122, 126)
OUTLINE: Colour = (255, 255, 255)
OUTLINE_OPACITY = 0.6
LIFT = 0.6
"""Published colours are dark, so the image under them is brightened in proportion to the opacity."""

VIEW_PX = 420
"""A much smaller image is enlarged to about this longer side before the legend is added."""
SMALLEST_TEXT_PX = 14
LETTERS = 24
"""Width of the longest class name, in widths of an n; longer names are cut."""
FEWEST_ROWS, MOST_COLUMNS = 6, 3
MOST_ROWS_BELOW = 12


def colour_labels(labels: LabelMap, colours: tuple[Colour, ...]) -> Image:
    """The label map in the colours of its classes; 255 = ignore and other labels without a class are black."""
    table = np.zeros((len(colours) + 1, 3), np.uint8)
    table[:-1] = np.array(colours, np.uint8).reshape(-1, 3)
    return table[np.minimum(labels.astype(np.uint16), len(colours))]


def overlay(image: Image, labels: LabelMap, classes: ClassTable, opacity: float = 0.55) -> Image:
    """Blend the colours of the classes over an image and outline the regions; ignored pixels keep their colour.

    Args:
        image: RGB, 0..255.
        labels: label map of the same size.
        classes: gives the colours.
        opacity: of the colours, 0..1.
    """
    colours = colour_labels(labels, classes.colours)
    lift = 1 + LIFT * opacity
    blended = cv2.addWeighted(image, (1 - opacity) * lift, colours, opacity, 0)
    ignored = labels >= len(classes)
    blended[ignored] = image[ignored]
    edge = outline(labels, thickness=max(1, round(min(labels.shape) / 600)))
    lightened = blended[edge] * (1 - OUTLINE_OPACITY) + np.array(OUTLINE) * OUTLINE_OPACITY
    blended[edge] = np.rint(lightened).astype(np.uint8)
    return blended


def outline(labels: LabelMap, thickness: int = 1) -> Bool[np.ndarray, "H W"]:
    """Pixels along the borders between labels, `thickness` pixels wide."""
    edge = np.zeros(labels.shape, np.uint8)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return cv2.dilate(edge, np.ones((thickness, thickness), np.uint8)).astype(bool)


def overlay_with_legend(image: Image, labels: LabelMap, classes: ClassTable, areas: dict[str, float]) -> Drawing:
    """The overlay, enlarged if it is tiny, with a legend of the classes in `areas` on its right or below it."""
    factor = max(1, round(VIEW_PX / max(labels.shape)))
    view = overlay(_enlarge(image, factor), _enlarge(labels, factor), classes)
    height, width = view.shape[:2]
    text_px = max(SMALLEST_TEXT_PX, round((height * width) ** 0.5 / 38))
    entries = entries_of(classes, areas)
    if width < 2 * height:
        lines = max(FEWEST_ROWS, height // line_px(text_px))
        return _join(view, legend(entries, text_px, lines, MOST_COLUMNS), text_px, axis=1)
    columns = max(1, width // _column_px(entries, text_px))
    lines = min(MOST_ROWS_BELOW, ceil(len(entries) / columns))
    return _join(view, legend(entries, text_px, lines, columns), text_px, axis=0)


def _enlarge(pixels: np.ndarray, factor: int) -> np.ndarray:
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _join(view: Drawing, panel: Drawing, gap: int, axis: int) -> Drawing:
    """Put both on one sheet with margins, side by side (axis 1) or one below the other (axis 0)."""
    across = 1 - axis
    size = [0, 0]
    size[axis] = view.shape[axis] + panel.shape[axis] + 3 * gap
    size[across] = max(view.shape[across], panel.shape[across]) + 2 * gap
    sheet = np.empty((*size, 3), np.uint8)
    sheet[:] = PAPER
    sheet[gap : gap + view.shape[0], gap : gap + view.shape[1]] = view
    corner = [gap, gap]
    corner[axis] += view.shape[axis] + gap
    sheet[corner[0] : corner[0] + panel.shape[0], corner[1] : corner[1] + panel.shape[1]] = panel
    return sheet


@dataclass(frozen=True)
class Entry:
    """One line of a legend."""

    name: str
    share: str
    colour: Colour


def entries_of(classes: ClassTable, areas: dict[str, float]) -> list[Entry]:
    """Lines of a legend, largest area first; `areas` are shares of the image, 0..1."""
    labels = {name: label for label, name in enumerate(classes.names)}
    ordered = sorted(areas.items(), key=lambda item: -item[1])
    return [
        Entry(class_name(name, labels[name]), percent(area), classes.colours[labels[name]]) for name, area in ordered
    ]


def percent(share: float) -> str:
    """Format a share, 0..1, as a percentage."""
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"


def legend(entries: list[Entry], text_px: int, rows: int, columns: int) -> Drawing:
    """Draw swatch, name and share of each entry, in at most so many rows and columns; the last line counts the rest."""
    room = rows * columns
    shown = entries if len(entries) <= room else entries[: room - 1]
    count = len(shown) + (len(shown) < len(entries))
    rows = min(rows, ceil(count / ceil(count / rows))) if count else 1
    width, line = _column_px(entries, text_px), line_px(text_px)
    whole_px = max(1, ceil(count / rows)) * width - _gap_px(text_px)
    sheet = Pillow.new("RGB", (whole_px, rows * line), PAPER)
    pen = ImageDraw.Draw(sheet)
    for index, entry in enumerate(shown):
        _write_entry(pen, entry, (index // rows * width, index % rows * line), text_px, width)
    if count > len(shown):
        left, top = (count - 1) // rows * width, (count - 1) % rows * line
        more = f"and {len(entries) - len(shown)} more"
        pen.text((left + 2 * text_px, top + line / 2), more, FAINT_INK, font(text_px), anchor="lm")
    return np.array(sheet)


def _write_entry(pen: ImageDraw.ImageDraw, entry: Entry, corner: tuple[int, int], text_px: int, width: int) -> None:
    left, middle = corner[0], corner[1] + line_px(text_px) / 2
    swatch = (left, middle - 0.55 * text_px, left + 1.3 * text_px, middle + 0.55 * text_px)
    pen.rounded_rectangle(swatch, radius=0.2 * text_px, fill=entry.colour, outline=FAINT_INK)
    name = _cut(entry.name, text_px)
    pen.text((left + 2 * text_px, middle), name, INK, font(text_px, name), anchor="lm")
    pen.text((left + width - _gap_px(text_px), middle), entry.share, FAINT_INK, font(text_px), anchor="rm")


def _cut(name: str, text_px: int) -> str:
    """Shorten a name that is too long: an ellipsis replaces its end."""
    letters = font(text_px, name)
    widest = LETTERS * font(text_px).getlength("n")
    if letters.getlength(name) <= widest:
        return name
    end = ellipsis_for(name)
    kept = next(n for n in range(len(name), -1, -1) if letters.getlength(name[:n] + end) <= widest)
    return name[:kept].rstrip() + end


def _column_px(entries: list[Entry], text_px: int) -> int:
    """Width of a column: swatch, longest name, share and the gap after it."""
    names = [_cut(entry.name, text_px) for entry in entries]
    longest = max((font(text_px, name).getlength(name) for name in names), default=0)
    return ceil(2 * text_px + longest + text_px + font(text_px).getlength("100.0%")) + _gap_px(text_px)


def _gap_px(text_px: int) -> int:
    """Gap between two columns."""
    return 2 * text_px


def line_px(text_px: int) -> int:
    """Height of a line of text, including spacing."""
    return round(1.7 * text_px)
