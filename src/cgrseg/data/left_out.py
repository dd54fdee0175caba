"""Files that are not read although they may be meant to be: other formats, hidden files, linked folders."""

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgrseg.data.images import SUFFIXES

RAW = (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".raw")
"""Suffixes of what cameras store before it is developed."""
OTHER_IMAGES = (".heic", ".heif", ".hif", ".jxl", ".jxr", ".psd", ".svg", ".exr", ".hdr", ".dcm", ".npy", ".pdf")
"""Suffixes of further images that are not read."""
CLUTTER = ("thumbs.db", "desktop.ini")
"""Names of files that systems leave in folders of images."""


@dataclass(frozen=True)
class LeftOut:
    """Files of one sort that are not read."""

    one: str
    """What one of them is, such as `file ending in .heic`."""
    many: str
    files: tuple[Path, ...]
    advice: str

    def __str__(self) -> str:
        count, what, verb = len(self.files), *((self.one, "is") if len(self.files) == 1 else (self.many, "are"))
        return f"{count:,} {what} {verb} left out, such as {self.files[0]}; {self.advice}"


def left_out(sources: Sequence[str | Path], skip: Path | None = None) -> list[LeftOut]:
    """Find what folders and patterns hold besides the images that `name_images` gives of them.

    Args:
        sources: files, folders and patterns.
        skip: a folder that is not looked at.
    """
    files, linked, matched = dict[Path, bool](), list[Path](), list[Path]()
    for source in sources:
        path = Path(source)
        if path.is_dir():
            entries = list(_walk(path, skip))
            linked += [entry for entry in entries if entry.is_dir()]
            files |= {file: is_hidden(file.relative_to(path)) for file in entries if not file.is_dir()}
        elif not path.is_file():
            matches = [Path(match) for match in glob.glob(str(source), recursive=True)]  # noqa: PTH207  as find_images
            matched += [match for match in matches if match.is_dir() and "**" not in str(source)]
            files |= {match: is_hidden(match) for match in matches if match.is_file()}
    found = [
        LeftOut("image in a linked folder", "images in linked folders", _images_in(linked), "name such a folder, too"),
        LeftOut(
            "image in a folder that a pattern matches",
            "images in folders that a pattern matches",
            _images_in(matched),
            "name such a folder without pattern",
        ),
        *unread(files),
    ]
    return [entry for entry in found if entry.files]


def _images_in(folders: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(image for folder in folders for image in images_below(folder))


def is_hidden(path: Path) -> bool:
    """Whether a file, or a folder that it is in, begins with a dot."""
    return any(part.startswith(".") and part not in (".", "..") for part in path.parts)


def _walk(folder: Path, skip: Path | None) -> Iterator[Path]:
    """All files below a folder, and the linked folders, which are not entered."""
    for name, folders, files in os.walk(folder):
        here = Path(name)
        if skip is not None and here.resolve() == skip.resolve():
            folders.clear()
            continue
        yield from (here / file for file in sorted(files))
        yield from (here / entry for entry in sorted(folders) if (here / entry).is_symlink())
        folders.sort()


def images_below(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """The files with such suffixes in a folder and its subfolders, sorted; none that are hidden."""
    return sorted(
        Path(name) / file
        for name, _, files in os.walk(folder)
        for file in files
        if Path(file).suffix.lower() in suffixes and not file.startswith(".")
    )


def unread(
    files: Mapping[Path, bool], others: str = "an image among them needs the suffix of its format"
) -> list[LeftOut]:
    """The files that are not read as images, by sort.

    Args:
        files: each with whether it is hidden.
        others: the advice about those that may be no images.
    """
    sorts: dict[str, list[Path]] = defaultdict(list)
    for file, hidden in files.items():
        sorts[_sort_of(file, hidden)].append(file)
    return [_left_out(sort, tuple(group), others) for sort, group in sorted(sorts.items()) if sort]


def _left_out(sort: str, files: tuple[Path, ...], others: str) -> LeftOut:
    if sort == "hidden":
        advice = "macOS keeps notes in such files (._); take the dot from the name of a real image"
        return LeftOut("hidden image", "hidden images", files, advice)
    if sort == "nowhere":
        return LeftOut("link to no file", "links to no file", files, "restore what it leads to")
    if sort == "other":
        what = f"of other kinds ({', '.join(sorted({file.suffix or 'no suffix' for file in files})[:6])})"
        return LeftOut(f"file {what}", f"files {what}", files, others)
    advice = "develop it to JPEG, PNG or TIFF first" if sort in RAW else "save it as JPEG or PNG"
    return LeftOut(f"file ending in {sort}", f"files ending in {sort}", files, advice)


def _sort_of(file: Path, hidden: bool) -> str:
    """Why a file is not read: `hidden`, `nowhere`, `other` or a suffix; empty if it is, or is of no interest."""
    suffix = file.suffix.lower()
    is_image = suffix in SUFFIXES or suffix in RAW or suffix in OTHER_IMAGES
    if hidden:
        return "hidden" if is_image else ""
    if is_image and not file.exists():
        return "nowhere"
    if suffix in SUFFIXES or file.name.lower() in CLUTTER:
        return ""
    return suffix if is_image else "other"
