"""The class table of a folder: classes.txt with one name per line, in order of label, meta.json or labelmap.txt.

    "classes"  the names                                       ["grass", "sky"]
    "palette"  a colour for each, also in label maps in RGB    [[0, 128, 0], [70, 130, 180]]       (optional)
    "values"   the value of each in other label maps           [1, 2]                              (absent: 0, 1, ...)
    "ignore"   the values and colours that mean no label       [0, [0, 0, 0]]                      (absent: 255)

labelmap.txt is CVAT's: a line `name:red,green,blue:parts:actions` for each class, in order of label. _classes.csv is
Roboflow's: a line `value, name` for each class. Only one of these files may name classes, so that their order is never
ambiguous.
"""

import csv
import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from cgrseg.classes import ClassTable, named
from cgrseg.data.datasets.labelled import OUTSIDE, UNLABELLED
from cgrseg.errors import DatasetError
from cgrseg.files import read_text
from cgrseg.types import IGNORE, Colour

LABELMAP_LINE = re.compile(r"(?P<name>.+?):(?P<colour>\d{1,3},\d{1,3},\d{1,3})(:|$)")
"""A line of labelmap.txt: a name, a colour, and two fields that are not read."""

ROBOFLOW = "_classes.csv"

NOT_A_CLASS = "__ignore__"
"""LabelMe's name for shapes without label."""

BACKGROUNDS = ("background", "_background_")
"""Names of classes that stand for all pixels that no shape covers."""


@dataclass(frozen=True)
class Table:
    """The classes of a folder, and their values and colours in its label files."""

    classes: ClassTable
    raw: tuple[int, ...]
    """The value of each class."""
    ignored: tuple[int, ...] = (IGNORE, UNLABELLED)
    void: tuple[Colour, ...] = ()
    """The colours that mean no label."""
    has_palette: bool = False
    """Whether the folder gives its classes colours."""
    reads_palettes: bool = False
    """Whether the numbers of palette PNGs mean the colours of their palettes, whatever the numbers."""

    @property
    def unlabelled(self) -> int:
        """The value of pixels that no shape covers: the background's if there is such a class, else UNLABELLED."""
        backgrounds = (value for name, value in zip(self.classes.names, self.raw, strict=True) if name in BACKGROUNDS)
        return next(backgrounds, UNLABELLED)

    @property
    def has_background(self) -> bool:
        """Whether a class stands for what no shape covers."""
        return self.unlabelled in self.raw

    def values_by_colour(self, where: str) -> dict[Colour, int]:
        """The value of each colour.

        Raises:
            DatasetError: a colour has two meanings; the message begins with `where`.
        """
        values: dict[Colour, int] = dict.fromkeys(self.void, UNLABELLED)
        for name, colour, value in zip(self.classes.names, self.classes.colours, self.raw, strict=True):
            if colour in values:
                raise DatasetError(f"{where}: the colour {colour} of {name!r} stands for something else, too")
            values[colour] = value
        return values

    def value_of(self, name: str, where: str) -> int:
        """The value of a class by name.

        Raises:
            DatasetError: the class does not exist; the message begins with `where`.
        """
        names = self.classes.names
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"the classes are {', '.join(names)}"
            raise DatasetError(f"{where}: {name!r} is not a class", advice=advice)
        return self.raw[names.index(name)]


def plain_table(classes: ClassTable) -> Table:
    """The table of classes with the values 0..k-1."""
    return Table(classes, tuple(range(len(classes))))


def read_table(folder: Path, split: Path | None = None) -> Table | None:
    """Read the table of a folder; None if it has none.

    Args:
        folder: the folder of the data set.
        split: the folder of a split, which may have a `_classes.csv` of its own.

    Raises:
        DatasetError: the file does not have the structure above.
    """
    tables: dict[str, Table] = {}
    for name, read in READERS.items():
        table = read(folder / name) if (folder / name).is_file() else None
        if table is not None:
            tables[name] = table
    if len(tables) > 1:
        names = " and in ".join(tables)
        raise DatasetError(f"{folder} names its classes twice, in {names}", advice="keep one of them")
    if not tables and split is not None and (split / ROBOFLOW).is_file():
        return _from_csv(split / ROBOFLOW)
    return next(iter(tables.values()), None)


def _from_csv(file: Path) -> Table:
    """The table of a _classes.csv, whose first line is a header."""
    lines = list(csv.reader(read_text(file).splitlines(), skipinitialspace=True))
    rows = [[cell.strip() for cell in line] for line in lines if any(cell.strip() for cell in line)]
    rows = rows[1:] if rows and not rows[0][0].isdigit() else rows
    wrong = next((row for row in rows if len(row) != 2 or not row[0].isdigit() or int(row[0]) >= UNLABELLED), None)
    if wrong is not None:
        raise DatasetError(
            f"{file}: {', '.join(wrong)!r} names no class", advice="a line is a value and a name: 1, road"
        )
    names, raw = checked_names([name for _, name in rows], str(file)), tuple(int(value) for value, _ in rows)
    if len(set(raw)) < len(raw):
        raise DatasetError(f"{file} gives a value to two classes", advice="give each class a value of its own")
    ignored = (UNLABELLED,) if IGNORE in raw else (IGNORE, UNLABELLED)
    return Table(named(names), raw, ignored)


def read_names(file: Path) -> Table:
    """Read the table of a classes.txt."""
    lines = read_text(file).rstrip().splitlines()
    return plain_table(named(checked_names([line.strip() for line in lines], str(file))))


def _from_labelmap(file: Path) -> Table:
    """The table of a labelmap.txt, whose lines may be comments; the background is a class like any other."""
    lines = [line.strip() for line in read_text(file).splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    matches = [LABELMAP_LINE.match(entry) for entry in entries]
    wrong = next((entry for entry, match in zip(entries, matches, strict=True) if match is None), None)
    if wrong is not None:
        raise DatasetError(
            f"{file}: {wrong!r} names no class with a colour", advice="a line is name:red,green,blue:parts:actions"
        )
    names = checked_names([match["name"].strip() for match in matches if match], str(file))
    colours = [tuple(int(part) for part in match["colour"].split(",")) for match in matches if match]
    for name, colour in zip(names, colours, strict=True):
        if max(colour) > 255 or colours.count(colour) > 1:
            raise DatasetError(f"{file}: {colour} is no colour for {name!r}", advice="0..255, and each colour once")
    palette = tuple((red, green, blue) for red, green, blue in colours)
    return Table(ClassTable(names, palette), tuple(range(len(names))), has_palette=True, reads_palettes=True)


def checked_names(names: list[str], where: str) -> tuple[str, ...]:
    """Return the names after checking that none is empty or listed twice, which would shift the labels after it.

    Raises:
        DatasetError: a name is empty, reserved or listed twice, or there are too few or too many.
    """
    for index, name in enumerate(names):
        if not name:
            raise DatasetError(f"{where}: line {index + 1} is empty", advice="every line is the name of a class")
        if name == NOT_A_CLASS:
            raise DatasetError(
                f"{where}: {name!r} is not a class", advice="leave it out, shapes of that name get no label anyway"
            )
        if name in names[:index]:
            first = names.index(name)
            raise DatasetError(f"{where}: the class {name!r} is listed twice, as labels {first} and {index}")
    if not 0 < len(names) <= OUTSIDE:
        raise DatasetError(f"{where} names {len(names)} classes", advice=f"1 to {OUTSIDE} are possible")
    return tuple(names)


def _from_json(file: Path) -> Table | None:
    try:
        tree = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise DatasetError(f"{file} is not JSON: {error}") from None
    if not isinstance(tree, dict) or "classes" not in tree:
        return None
    listed = tree["classes"]
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise DatasetError(f'{file}: classes: a list of names is needed, such as ["grass", "sky"]')
    names = checked_names(listed, str(file))
    palette, raw = _palette(tree, names, file), _raw_values(tree, names, file)
    ignored = tree.get("ignore", [] if IGNORE in raw else [IGNORE])
    if not isinstance(ignored, list) or not all(_is_value(entry) or _is_colour(entry) for entry in ignored):
        raise DatasetError(f"{file}: ignore: a list of values or colours is needed, such as [0, [0, 0, 0]]")
    values = (*(entry for entry in ignored if _is_value(entry)), UNLABELLED)
    if shared := set(values) & set(raw):
        value = min(shared)
        raise DatasetError(f"{file}: ignore: {value} is the value of the class {names[raw.index(value)]!r}")
    if palette is None:
        return Table(named(names), raw, values)
    void = tuple(tuple(entry) for entry in ignored if _is_colour(entry))
    return Table(ClassTable(names, palette), raw, values, void, has_palette=True)


def _palette(tree: dict, names: tuple[str, ...], file: Path) -> tuple[Colour, ...] | None:
    palette = tree.get("palette")
    if palette is None:
        return None
    if not isinstance(palette, list) or len(palette) != len(names) or not all(map(_is_colour, palette)):
        raise DatasetError(f"{file}: palette: {len(names)} colours [red, green, blue] are needed, one for each class")
    return tuple(tuple(colour) for colour in palette)


def _raw_values(tree: dict, names: tuple[str, ...], file: Path) -> tuple[int, ...]:
    values = tree.get("values", list(range(len(names))))
    is_list = isinstance(values, list) and all(map(_is_value, values))
    if not is_list or not len(values) == len(set(values)) == len(names):
        raise DatasetError(f"{file}: values: {len(names)} different whole numbers are needed, one for each class")
    return tuple(values)


def _is_value(entry: object) -> bool:
    return isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry < UNLABELLED


def _is_colour(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 3 and all(_is_value(part) and part < 256 for part in entry)


READERS = {"classes.txt": read_names, "meta.json": _from_json, "labelmap.txt": _from_labelmap, ROBOFLOW: _from_csv}
"""The readers of the files that may name classes."""
