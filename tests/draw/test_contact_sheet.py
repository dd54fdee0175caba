"""Contact sheets."""

import numpy as np
import pytest

from cgrseg.classes import named
from cgrseg.draw import PAPER, ImageDraw
from cgrseg.draw.contact_sheet import CELL_PX, MAT, UNLABELLED, Cell, contact_sheet

CLASSES = named(tuple(f"class {index}" for index in range(171)))
RED = np.full((60, 80, 3), (200, 0, 0), np.uint8)


@pytest.fixture
def texts(monkeypatch) -> list[str]:
    """What is written on sheets."""
    written: list[str] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, xy, text, *rest, **more: written.append(text))
    return written


def has_colour(sheet: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((sheet == np.array(colour)).all(axis=2).any())


def test_an_image_fills_its_cell_and_one_of_another_shape_lies_on_a_mat():
    wide = contact_sheet("t", ("a",), [[Cell(RED)]], CLASSES, {})
    both = contact_sheet("t", ("a",), [[Cell(RED)], [Cell(RED[:, :30])]], CLASSES, {})

    assert (wide == RED[0, 0]).all(axis=2).sum() == CELL_PX[0] * CELL_PX[1]
    assert not has_colour(wide, MAT)
    assert has_colour(both, MAT)


def test_pixels_without_label_are_dim():
    labels = np.full(RED.shape[:2], 255, np.uint8)

    plain, dim = (contact_sheet("t", ("a",), [[Cell(RED, each)]], CLASSES, {"class 0": 1.0}) for each in (None, labels))

    assert has_colour(plain, (200, 0, 0))
    assert not has_colour(dim, (200, 0, 0))


def test_heads_captions_and_title_are_written(texts):
    contact_sheet("my images", ("left", "right"), [[Cell(RED, caption="one"), Cell(RED, caption="two")]], CLASSES, {})

    assert {"my images", "left", "right", "one", "two"} <= set(texts)


def test_a_long_caption_keeps_its_end(texts):
    contact_sheet("t", ("a",), [[Cell(RED, caption="x" * 200 + "_001")]], CLASSES, {})

    assert any(text.startswith("…x") and text.endswith("_001") and len(text) < 100 for text in texts)


def test_the_legend_lists_the_largest_24_classes_and_sums_the_others(texts):
    areas = dict.fromkeys(CLASSES.names, 0.005) | {"class 170": 0.1}

    contact_sheet("t", ("a",), [[Cell(RED)]] * 3, CLASSES, areas)

    listed = [text for text in texts if text.startswith("class ")]
    assert listed[0] == "class 170"
    assert len(listed) == 24
    assert texts[texts.index("147 more classes") + 1] == "73.5%"
    assert texts[texts.index("no label") + 1] == "5.0%"


def test_a_legend_higher_than_its_only_row_goes_into_columns():
    areas = dict.fromkeys(CLASSES.names[:40], 1 / 40)

    one, three = (contact_sheet("t", ("a",), [[Cell(RED)]] * rows, CLASSES, areas) for rows in (1, 3))

    assert one.shape[0] < three.shape[0]
    assert one.shape[1] > three.shape[1]


def test_without_unlabelled_pixels_the_legend_does_not_speak_of_them(texts):
    sheet = contact_sheet("t", ("a",), [[Cell(RED)]], CLASSES, {"class 0": 0.75, "class 1": 0.25})

    assert "no label" not in texts
    assert not has_colour(sheet, UNLABELLED)
    assert has_colour(sheet, PAPER)
