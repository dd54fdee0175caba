"""Fonts of drawings: letters of other scripts come from the system's fonts, and never as boxes."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from cgrseg.classes import ClassTable
from cgrseg.draw import entries_of, fonts, legend
from cgrseg.draw.contact_sheet import Cell, contact_sheet

ROAD, SKY = "Дорога", "天空"
"""Names in a script that DejaVu has and in one that it has not."""


@pytest.fixture
def installed(monkeypatch):
    """The only system font is DejaVu Sans, as matplotlib brings it."""
    matplotlib = pytest.importorskip("matplotlib")
    file = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
    yield from only([file], monkeypatch)


@pytest.fixture
def bare(monkeypatch):
    """The system has no fonts."""
    yield from only([], monkeypatch)


def only(files, monkeypatch):
    monkeypatch.setattr(fonts, "_candidates", lambda letters: files)
    fonts._file_for.cache_clear()
    fonts._warned.clear()
    yield files
    fonts._file_for.cache_clear()
    fonts._warned.clear()


def test_latin_text_is_drawn_with_pillows_own_font(installed):
    assert fonts.font(15, "Road, 12 % (wet)").getname() == ImageFont.load_default(15).getname()


def test_letters_that_pillow_lacks_come_from_a_font_of_the_system(installed):
    assert fonts.font(15, f"{ROAD} 1").getname()[0] == "DejaVu Sans"
    assert fonts.class_name(ROAD, 3) == ROAD


def test_a_class_whose_letters_no_font_has_is_drawn_as_its_number_with_one_warning(bare, caplog):
    classes = ClassTable(("road", SKY, ROAD), ((0, 0, 0), (9, 9, 9), (8, 8, 8)))

    with caplog.at_level(logging.WARNING):
        names = [entry.name for entry in entries_of(classes, {"road": 0.5, SKY: 0.3, ROAD: 0.2})]

    assert names == ["road", "class 1", "class 2"]
    assert len(caplog.messages) == 1
    assert SKY in caplog.messages[0]
    assert "fonts-noto-cjk" in caplog.messages[0]


def test_a_name_whose_accents_no_font_has_is_drawn_without_them(bare, monkeypatch):
    monkeypatch.setattr(fonts, "_has", lambda _, letters: letters.isascii())
    fonts._file_for.cache_clear()

    assert [fonts.class_name(name, 0) for name in ("Straße", "Łąka", "crème brûlée")] == [
        "Strasse",
        "Laka",
        "creme brulee",
    ]


def test_a_legend_shows_other_letters_and_not_the_sign_for_a_missing_one(installed):
    table = ClassTable((ROAD, ROAD[::-1]), ((0, 0, 0), (0, 0, 0)))

    one, other = (legend(entries_of(table, {name: 1.0}), 20, 1, 1) for name in table.names)

    width = min(one.shape[1], other.shape[1])
    assert not np.array_equal(one[:, :width], other[:, :width])


def test_captions_have_a_dot_for_a_letter_that_no_font_has(installed):
    assert fonts.drawable(f"{ROAD}/{SKY}7.jpg") == f"{ROAD}/··7.jpg"
    assert fonts.drawable("road/7.jpg") == "road/7.jpg"


def test_a_contact_sheet_takes_any_name(bare):
    cell = Cell(np.zeros((24, 32, 3), np.uint8), None, f"a long name of {SKY} and {ROAD} and {SKY} and {ROAD}")

    sheet = contact_sheet(SKY, ["Image"], [[cell]], ClassTable((SKY,), ((9, 9, 9),)), {SKY: 1.0})

    assert sheet.ndim == 3


def test_a_cut_name_ends_in_dots_only_if_its_font_has_them(installed, monkeypatch):
    assert fonts.ellipsis_for(ROAD) == "…"

    monkeypatch.setattr(fonts, "is_drawable", lambda text: "…" not in text)
    assert fonts.ellipsis_for(ROAD) == ""


def test_plain_fonts_come_first_and_fontconfig_may_be_missing(monkeypatch, tmp_path):
    for name in ("Some-Bold.ttf", "SomeSans-Regular.ttf", "SomeSerif.ttf", "notes.txt"):
        (tmp_path / name).touch()
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path), str(tmp_path / "nowhere")))
    monkeypatch.setattr(fonts.shutil, "which", lambda _: None)
    fonts._installed.cache_clear()

    names = [Path(file).name for file in fonts._candidates(SKY)]
    fonts._installed.cache_clear()

    assert names == ["SomeSans-Regular.ttf", "Some-Bold.ttf", "SomeSerif.ttf"]
