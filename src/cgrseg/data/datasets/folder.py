"""Anyone's own pictures.

    images/<split>/<stem>.jpg        any picture suffix
    annotations/<split>/<stem>.png   0..k-1, 255 = no label
    classes.txt                      one name a line; or meta.json with "classes" and, if wished, "palette"

The file name of a label map is its picture's, whatever the suffix of the picture.
"""

import json
from pathlib import Path

from cgrseg.classes import ClassTable, named
from cgrseg.data.datasets.labelled import OUTSIDE, Layout, files_by_stem, lookup_of, paired
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError

LAYOUT = "a folder holds images/<split>/ and annotations/<split>/, with equal names"


def find(path: Path, split: str, classes: ClassTable | None = None) -> Layout:
    """A split of the folder `path`; `classes` are taken where it names none itself."""
    own = _own_classes(path)
    table = classes if own is None else own
    if table is None:
        raise DatasetError(f"{path} names no classes; write classes.txt there, one name a line, in order of label")
    if not 0 < len(table) <= OUTSIDE:
        raise DatasetError(f"{path} names {len(table)} classes; 1 to {OUTSIDE} are possible")
    layout = f"{LAYOUT}; {_splits(path)}"
    images = files_by_stem(path / "images" / split, SUFFIXES, layout)
    labels = files_by_stem(path / "annotations" / split, (".png",), layout)
    pairs = paired(sorted(images | labels), images, labels, f"split {split!r} of {path}")
    return Layout(table, lookup_of(range(len(table))), pairs)


def _splits(path: Path) -> str:
    folder = path / "images"
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    return f"the splits of {path} are {', '.join(found)}" if found else f"{path} has no splits"


def _own_classes(path: Path) -> ClassTable | None:
    if (path / "classes.txt").is_file():
        text = (path / "classes.txt").read_text(encoding="utf-8-sig")
        return named(_checked(tuple(line.strip() for line in text.rstrip().splitlines()), path / "classes.txt"))
    if (path / "meta.json").is_file():
        return _from_json(path / "meta.json")
    return None


def _from_json(file: Path) -> ClassTable | None:
    try:
        table = json.loads(file.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"{file} is not JSON: {error}") from None
    if not isinstance(table, dict) or "classes" not in table:
        return None
    names, palette = table["classes"], table.get("palette")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DatasetError(f'{file}: classes: a list of names is needed, such as ["grass", "sky"]')
    if palette is None:
        return named(_checked(tuple(names), file))
    if not isinstance(palette, list) or len(palette) != len(names) or not all(map(_is_colour, palette)):
        raise DatasetError(f"{file}: palette: {len(names)} colours [red, green, blue] are needed, one for each class")
    return ClassTable(_checked(tuple(names), file), tuple(tuple(colour) for colour in palette))


def _is_colour(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 3 and all(part in range(256) for part in entry)


def _checked(names: tuple[str, ...], file: Path) -> tuple[str, ...]:
    """The names, if each says something and is there once: a slip would shift every label after it."""
    for place, name in enumerate(names):
        if not name:
            raise DatasetError(f"{file}: line {place + 1} is empty; every line is the name of a class")
        if name in names[:place]:
            raise DatasetError(f"{file}: the class {name!r} is there twice, as labels {names.index(name)} and {place}")
    return names
