"""Merging the classes of a data set into new ones: joined, renamed, reordered or dropped.

    {"vehicle": ["car", "bus"], "ground": ["road", 9], "ignore": ["sky"]}

A name is a class of the data set; a number is a value in its label files, such as one that its class table leaves out.
"""

import difflib
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int64

from cgrseg.classes import ClassTable, named
from cgrseg.config import Merge
from cgrseg.data.datasets.labelled import OUTSIDE, Layout
from cgrseg.errors import DatasetError
from cgrseg.types import IGNORE, Colour

DROP = "ignore"
"""The key for classes that become unlabelled."""


def merge_classes(layout: Layout, merge: Merge) -> Layout:
    """Give a layout new classes; one that already has exactly these classes is returned unchanged.

    Raises:
        DatasetError: an old class is unknown, listed twice or not listed.
    """
    new = tuple(name for name in merge if name != DROP)
    if not 0 < len(new) <= OUTSIDE:
        raise DatasetError(f"merge makes {len(new)} classes", advice=f"1 to {OUTSIDE} are possible")
    if layout.classes.names == new and _is_done(merge, new):
        return layout
    labels = {name: label for label, name in enumerate(new)} | {DROP: IGNORE}
    lookup = np.where(layout.lookup == IGNORE, np.uint8(IGNORE), np.uint8(OUTSIDE))
    taken = np.zeros(len(lookup), bool)
    for name, entries in merge.items():
        for entry in entries:
            values = _values(layout, entry)
            if taken[values].any():
                raise DatasetError(
                    f"merge: {name}: {entry!r} is listed twice", advice="give each old class one new class"
                )
            lookup[values], taken[values] = labels[name], True
    _require_all(layout, taken)
    fresh = named(new).colours
    colours = tuple(_colour(layout.classes, merge[name], fresh[label]) for label, name in enumerate(new))
    return replace(layout, classes=ClassTable(new, colours), lookup=lookup)


def _is_done(merge: Merge, names: tuple[str, ...]) -> bool:
    """Whether classes of these names are the merged ones: some old classes are gone, the others kept their names."""
    old = [(name, entry) for name, entries in merge.items() for entry in entries if isinstance(entry, str)]
    return any(entry not in names for _, entry in old) and all(entry == name for name, entry in old if entry in names)


def _colour(classes: ClassTable, entries: tuple[str | int, ...], fresh: Colour) -> Colour:
    """The colour of the first old class; `fresh` if there are only values."""
    return next((classes.colours[classes.names.index(entry)] for entry in entries if isinstance(entry, str)), fresh)


def _require_all(layout: Layout, taken: Bool[np.ndarray, "v"]) -> None:
    left = np.unique(layout.lookup[~taken & (layout.lookup < OUTSIDE)])
    if len(left):
        names = ", ".join(layout.classes.names[label] for label in left)
        raise DatasetError(f"merge leaves out {names}", advice=f"give each a new class, or list it under {DROP!r}")


def _values(layout: Layout, entry: str | int) -> Int64[np.ndarray, "n"]:
    """The values in label files that an entry of a merge stands for."""
    names = layout.classes.names
    if isinstance(entry, int):
        if not 0 <= entry < len(layout.lookup) or layout.lookup[entry] == OUTSIDE:
            raise DatasetError(
                f"merge: {entry} is not a value in the label files", advice="quote the number if it is a class name"
            )
        return np.array([entry])
    if entry not in names:
        close = difflib.get_close_matches(entry, names, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"the classes are {', '.join(names)}"
        raise DatasetError(f"merge: the data set has no class {entry!r}", advice=advice)
    return np.flatnonzero(layout.lookup == names.index(entry))
