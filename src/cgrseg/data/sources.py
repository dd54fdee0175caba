"""The pictures that a user names by files, folders and patterns, and what their results are called."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from cgrseg.data.images import find_images


def name_pictures(sources: Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Every picture of some files, folders and patterns, and a name for its results that no other has.

    The name is the path below the folder given (below what all have in common, if there are several), without the
    suffix unless two pictures differ in nothing else.
    """
    paths = [path for source in sources for path in find_images(source)]
    root = os.path.commonpath([_root(source).absolute() for source in sources])
    stems = {path: path.absolute().relative_to(root).with_suffix("").as_posix() for path in paths}
    uses = Counter(stem.casefold() for stem in stems.values())  # some file systems do not tell a from A
    names = {path: stem for path, stem in stems.items() if uses[stem.casefold()] == 1}
    taken = {name.casefold() for name in names.values()}
    for path in (path for path in stems if path not in names):
        name = f"{stems[path]}_{path.suffix.removeprefix('.')}"
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        names[path] = name
    return [(path, names[path]) for path in paths]


def _root(source: str | Path) -> Path:
    """The folder that names are relative to: of a file its own, of a pattern the last one without a wildcard."""
    path = Path(source)
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    return Path(*takewhile(lambda part: not set(part) & set("*?["), path.parts))
