"""Files of a layout: the lists and folders of a split, and how the names of images and label files pair.

Two names are the same if they differ in case or Unicode form only; a label file may have an ending beyond the name.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from cgrseg.config import Kind
from cgrseg.data.datasets.labelled import Pair
from cgrseg.errors import DatasetError
from cgrseg.files import read_text, readable

T = TypeVar("T")

SEPARATORS = "_-. "
"""What may stand between the name of an image and what a label file adds to it."""


@dataclass(frozen=True)
class Endings:
    """Endings of the names of all images, and of all label files, beyond the names that they share."""

    images: str = ""
    labels: str = ""


def folded(name: str) -> str:
    """A name in lower case and Unicode's composed form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def renamed_like(files: dict[str, T], names: Iterable[str]) -> dict[str, T]:
    """Files by name, with the names of `names` for those that differ from one of them in case or Unicode form only.

    A name that exists in both stays, and so does one that several names are equal to.
    """
    names = set(names)
    waiting = _by_folded(names - files.keys())
    spare = _by_folded(files.keys() - names)
    new = {
        group[0]: waiting[key][0] for key, group in spare.items() if len(group) == 1 and len(waiting.get(key, ())) == 1
    }
    return {new.get(name, name): file for name, file in files.items()}


def _by_folded(names: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups[folded(name)].append(name)
    return dict(groups)


def common_endings(images: Collection[str], labels: Collection[str]) -> Endings:
    """The endings without which every label file has the name of an image; none if one has such a name already."""
    if not labels or set(images) & set(labels):
        return Endings()
    for image_end in ("", *_endings_of(images)):
        names = {folded(name.removesuffix(image_end)) for name in images}
        for label_end in _endings_of(labels):
            if all(folded(name.removesuffix(label_end)) in names for name in labels):
                return Endings(image_end, label_end)
    return Endings()


def _endings_of(names: Collection[str]) -> list[str]:
    """Endings that all names share, from a separator on; the longest first."""
    columns = zip(*(reversed(name) for name in names), strict=False)
    common = "".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))[::-1]
    shortest = min(map(len, names), default=0)
    cuts = [index for index, character in enumerate(common) if character in SEPARATORS]
    return [common[cut:] for cut in cuts if len(common) - cut < shortest]


def root_of(path: Path, *names: str) -> Path:
    """The folder of a data set: the first of `names` that exists below `path`, else `path` itself."""
    return next((path / name for name in names if (path / name).is_dir()), path)


def folder_of(folders: dict[str, str], split: str, kind: Kind) -> str:
    """The folder or list of a split in the official release.

    Raises:
        DatasetError: the release has no such split with labels.
    """
    if split not in folders:
        raise DatasetError(f"{kind} has no split {split!r} with labels", advice=f"it has {', '.join(folders)}")
    return folders[split]


def listed(listing: Path, layout: str) -> list[str]:
    """Read the names in a list of images: the first word of each line.

    Raises:
        DatasetError: the list does not exist.
    """
    if not listing.is_file():
        raise DatasetError(f"{listing}: no such list", advice=layout)
    lines = (line.split() for line in read_text(listing).splitlines())
    return [words[0] for words in lines if words]


def paired(
    names: Iterable[str], images: dict[str, Path], labels: dict[str, Path], where: str, advice: str = ""
) -> tuple[Pair, ...]:
    """Pair images and label files by name; errors begin with `where`, and end with `advice`.

    Raises:
        DatasetError: an image or a label file is missing, or `names` is empty.
    """
    names = list(names)
    if not names:
        raise DatasetError(f"{where} holds no images")
    for what, files in (("image", images), ("label file", labels)):
        missing = [name for name in names if name not in files]
        if missing:
            first = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise DatasetError(f"{where}: {len(missing)} of {len(names)} have no {what}: {first}", advice=advice)
    return tuple(Pair(name, images[name], labels[name]) for name in names)


def files_by_stem(folder: Path, endings: tuple[str, ...], layout: str) -> dict[str, Path]:
    """The files of a folder by name without ending; `layout` is the advice if the folder is missing."""
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder", advice=layout)
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        ending = next((ending for ending in endings if file.name.lower().endswith(ending.lower())), None)
        if ending is None or file.name.startswith("."):
            continue
        stem = readable(file.name[: -len(ending)])
        if stem in files:
            raise DatasetError(f"{folder} holds both {files[stem].name} and {file.name}", advice="keep one of them")
        files[stem] = file
    return files
