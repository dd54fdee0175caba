"""Files of a layout: the lists and folders of a split, names that differ in case only, images paired with labels."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from cgrseg.config import Kind
from cgrseg.data.datasets.labelled import Pair
from cgrseg.errors import DatasetError
from cgrseg.files import read_text, readable

T = TypeVar("T")


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


def paired(names: Iterable[str], images: dict[str, Path], labels: dict[str, Path], where: str) -> tuple[Pair, ...]:
    """Pair images and label files by name; errors begin with `where`.

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
            raise DatasetError(f"{where}: {len(missing)} of {len(names)} have no {what}: {first}")
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
