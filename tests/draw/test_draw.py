"""Drawings show the classes' colours, the image below them, and a legend that can be read."""

import numpy as np
import pytest

from cgrseg import draw
from cgrseg.classes import ClassTable, named

CLASSES = ClassTable(("sky", "road", "tree"), ((10, 20, 30), (200, 0, 0), (0, 150, 0)))


def stripes(height: int, width: int, classes: int) -> np.ndarray:
    return np.tile(np.arange(width) * classes // width, (height, 1)).astype(np.uint8)


def shares(labels: np.ndarray, classes: ClassTable) -> dict[str, float]:
    return {
        name: float((labels == label).mean()) for label, name in enumerate(classes.names) if (labels == label).any()
    }


def test_each_label_has_its_colour_and_the_rest_is_black():
    labels = np.array([[0, 1], [2, 255]], np.uint8)

    assert draw.colour_labels(labels, CLASSES.colours).tolist() == [
        [[10, 20, 30], [200, 0, 0]],
        [[0, 150, 0], [0, 0, 0]],
    ]


def test_sixteen_bit_labels_have_colours_too():
    classes = named(tuple(map(str, range(300))))

    colours = draw.colour_labels(np.array([[299, 65535]], np.uint16), classes.colours)

    assert colours.tolist() == [[list(classes.colours[299]), [0, 0, 0]]]


def test_the_outline_runs_along_every_border_and_nowhere_else():
    labels = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2]], np.uint8)

    edge = draw.outline(labels)

    assert edge.astype(int).tolist() == [[0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]]


def test_an_overlay_leans_to_the_class_colour_and_keeps_the_images_detail():
    image = np.full((40, 40, 3), 100, np.uint8)
    image[:, ::2] = 160
    labels = np.ones((40, 40), np.uint8)

    overlay = draw.overlay(image, labels, CLASSES)

    assert overlay.shape == image.shape
    assert (overlay[..., 0] > overlay[..., 1]).all()
    assert (overlay[:, ::2] > overlay[:, 1::2]).all()


@pytest.mark.parametrize(("opacity", "shown"), [(0.0, (90, 80, 70)), (1.0, (200, 0, 0))])
def test_opacity_goes_from_the_image_to_the_colour(opacity, shown):
    image = np.full((9, 9, 3), (90, 80, 70), np.uint8)

    overlay = draw.overlay(image, np.ones((9, 9), np.uint8), CLASSES, opacity)

    assert (overlay == shown).all()


def test_ignored_pixels_show_the_image():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)

    overlay = draw.overlay(image, np.full((20, 20), 255, np.uint8), CLASSES)

    assert (overlay == image).all()


def test_neither_image_nor_labels_are_drawn_upon():
    image, labels = np.full((20, 30, 3), 50, np.uint8), stripes(20, 30, 3)
    kept = image.copy(), labels.copy()

    draw.overlay_with_legend(image, labels, CLASSES, shares(labels, CLASSES))

    assert (image == kept[0]).all()
    assert (labels == kept[1]).all()


@pytest.mark.parametrize("size", [(1, 1), (20, 30), (300, 400), (1200, 1600), (1, 3000), (3000, 1), (90, 900)])
def test_the_legend_is_readable_and_holds_every_swatch_at_any_size(size):
    labels = stripes(*size, classes=min(3, size[1]))
    image = np.zeros((*size, 3), np.uint8)
    areas = shares(labels, CLASSES)

    sheet = draw.overlay_with_legend(image, labels, CLASSES, areas)

    assert sheet.shape[0] >= size[0] + 2 * draw.SMALLEST_TEXT_PX
    assert sheet.shape[1] >= size[1] + 2 * draw.SMALLEST_TEXT_PX
    for colour in CLASSES.colours[: len(areas)]:
        swatch = (sheet == colour).all(axis=2)
        assert swatch.sum() >= draw.SMALLEST_TEXT_PX**2


def test_a_legend_lists_the_largest_area_first(monkeypatch):
    texts = []
    monkeypatch.setattr(
        draw.ImageDraw.ImageDraw, "text", lambda self, xy, text, *rest, **more: texts.append((xy[1], text))
    )
    labels = stripes(400, 400, 2)

    draw.overlay_with_legend(
        np.zeros((400, 400, 3), np.uint8), labels, CLASSES, {"tree": 0.0001, "road": 0.2, "sky": 0.7999}
    )

    assert [text for _, text in texts] == ["sky", "80.0%", "road", "20.0%", "tree", "<0.1%"]
    assert texts == sorted(texts, key=lambda item: item[0])


@pytest.mark.parametrize(("size", "beside"), [((300, 400), True), ((800, 200), True), ((100, 400), False)])
def test_the_legend_stands_beside_the_image_or_below_a_wide_one(size, beside):
    labels = stripes(*size, classes=3)
    gap = draw.SMALLEST_TEXT_PX

    sheet = draw.overlay_with_legend(np.zeros((*size, 3), np.uint8), labels, CLASSES, shares(labels, CLASSES))

    factor = max(1, round(draw.VIEW_PX / max(size)))
    view = (factor * size[0], factor * size[1])
    assert (sheet.shape[1] > view[1] + 2 * gap + 20) == beside
    assert (sheet.shape[0] > view[0] + 2 * gap + 20) == (not beside)


@pytest.mark.parametrize("size", [(480, 640), (100, 640)])
def test_more_classes_than_fit_are_counted(size, monkeypatch):
    texts = []
    monkeypatch.setattr(draw.ImageDraw.ImageDraw, "text", lambda self, xy, text, *rest, **more: texts.append(text))
    classes = named(tuple(f"a class with the number {index}" for index in range(150)))
    labels = stripes(*size, classes=150)

    sheet = draw.overlay_with_legend(np.zeros((*size, 3), np.uint8), labels, classes, shares(labels, classes))

    listed = sum(text.startswith("a class") for text in texts)
    assert texts[-1] == f"and {150 - listed} more"
    assert listed >= 20
    assert sheet.shape[0] * sheet.shape[1] < 6 * size[0] * size[1]


def test_a_name_that_is_too_long_is_cut(monkeypatch):
    texts = []
    monkeypatch.setattr(draw.ImageDraw.ImageDraw, "text", lambda self, xy, text, *rest, **more: texts.append(text))
    classes = ClassTable(("w" * 300,), ((1, 2, 3),))

    sheet = draw.overlay_with_legend(
        np.zeros((400, 400, 3), np.uint8), np.zeros((400, 400), np.uint8), classes, {"w" * 300: 1.0}
    )

    assert texts[0].endswith("w…")
    assert len(texts[0]) < 40
    assert sheet.shape[1] < 900
