"""Class names, colours and raw label values; those of published data sets are JSON files in `assets`."""

import colorsys
import json
from dataclasses import dataclass
from importlib import resources

from cgrseg.errors import DatasetError
from cgrseg.types import Colour


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set or a model, in order of label."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Published:
    """A published data set: its classes, terms and addresses."""

    name: str
    """The name to display."""
    terms: str
    """The terms of use of its images and labels, in a few words."""
    home: str
    """The address of its web page."""
    files: tuple[str, ...]
    """The addresses of the archives of images and labels."""
    splits: dict[str, int]
    """The number of images in each split of the official release."""
    classes: ClassTable
    raw: tuple[int, ...]
    """The value of each class in the label files."""
    ignored: tuple[int, ...]
    """The values that mean no label."""


def read_published(name: str) -> Published:
    """Read the table of a published data set, such as `camvid`.

    Raises:
        DatasetError: the data set is unknown.
    """
    folder = resources.files("cgrseg") / "assets"
    file = folder / f"{name}.json"
    if not file.is_file():
        known = sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json"))
        raise DatasetError(f"no class table {name!r}", advice=f"the published ones are {', '.join(known)}")
    table = json.loads(file.read_text(encoding="utf-8"))
    rows = table["classes"]
    return Published(
        name=table["name"],
        terms=table["terms"],
        home=table["home"],
        files=tuple(table["files"]),
        splits=table["splits"],
        classes=ClassTable(tuple(row["name"] for row in rows), tuple(tuple(row["colour"]) for row in rows)),
        raw=tuple(row["raw"] for row in rows),
        ignored=tuple(table["ignore"]),
    )


def published(name: str) -> ClassTable:
    """The classes of a published data set, such as `camvid`.

    Raises:
        DatasetError: the data set is unknown.
    """
    return read_published(name).classes


def named(names: tuple[str, ...]) -> ClassTable:
    """A table for any class names, with distinct colours made for them."""
    return ClassTable(names, tuple(_distinct(index) for index in range(len(names))))


def _distinct(index: int) -> Colour:
    """Colour number `index` of an endless sequence: hues by the golden ratio, in three strengths."""
    hue = (0.61 + index * 0.618034) % 1
    saturation, value = ((0.75, 0.85), (0.5, 0.95), (0.9, 0.55))[index % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
