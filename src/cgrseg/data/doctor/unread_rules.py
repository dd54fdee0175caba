"""Rules about what a folder of the user's own holds besides the files that are read.

    images/            images beside its splits            images/dev        a split of another name
    images/train       subfolders, other formats, hidden   annotations/dev   labels of a split that has no images
    any other folder   its images                          JPEGImages        images that no list names

The readers say which files they take; every other image and label file is in one of the findings.
"""

import os
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cgrseg.data.datasets.coco_exports import WHOLE
from cgrseg.data.datasets.folder import files_read, unlabelled_folder
from cgrseg.data.datasets.labelled import SplitFiles
from cgrseg.data.datasets.table import READERS
from cgrseg.data.datasets.trees import (
    ALL_NAMES,
    LABEL_SUFFIXES,
    SPLIT_NAMES,
    files_of,
    image_folder,
    meant_split,
    tree_of,
)
from cgrseg.data.doctor.findings import ASIDE, FIXED, Finding, Severity, about
from cgrseg.data.doctor.pairing import unsupported_labels
from cgrseg.data.images import SUFFIXES
from cgrseg.data.left_out import OTHER_IMAGES, RAW, images_below, is_hidden, unread
from cgrseg.errors import DatasetError

NOT_MEANT = (FIXED, ASIDE, "SegmentationObject")
"""Folders that are never meant to be read; the last one holds the masks of single objects in exports of CVAT."""
OTHER_JSON = (*READERS, *WHOLE)
"""The JSON files that are no label files of single images."""


@dataclass(frozen=True)
class Location:
    """Where some files lie that are not read, and what to do about them."""

    what: str
    fix: str
    severity: Severity = "warning"


@dataclass(frozen=True)
class Folders:
    """The folders that the readers look into."""

    root: Path
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    listed: frozenset[Path]
    """Those of `images` of which lists name the images."""
    shared: frozenset[Path]
    """Those of `labels` in which one JSON holds the labels of all images."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Both, without order."""
        return (*self.images, *self.labels)

    @property
    def of_splits(self) -> frozenset[Path]:
        """The folders that hold one folder for each split, such as `images`."""
        return frozenset(folder.parent for folder in self.all if folder.name in ALL_NAMES) - {self.root}

    def around(self, file: Path) -> Path | None:
        """The innermost folder that a file is in; the folder of the data set itself holds only what lies directly."""
        inside = [folder for folder in self.all if folder in file.parents]
        inside = [folder for folder in inside if folder != self.root or file.parent == self.root]
        return max(inside, key=lambda folder: len(folder.parts), default=None)


def unread_findings(path: Path) -> list[Finding]:
    """Files of a folder that are not read: in other places, of other formats, hidden, or linked to nowhere."""
    try:
        splits = files_read(path)
        read = {file for split in splits for file in split.files} | _with_findings(path)
    except (DatasetError, OSError):
        return []  # opening it gives the error
    unlabelled = unlabelled_folder(path)
    read |= set(images_below(unlabelled)) if unlabelled else set()
    folders = _folders(path, splits, [unlabelled] if unlabelled else [])
    groups: dict[Location, list[Path]] = defaultdict(list)
    other: dict[Path, bool] = {}
    for file, is_linked in _walk(path, folders):
        if file in read:
            continue
        is_label = _is_label(file, folders)
        if is_hidden(Path(file.name)) or not (is_label or file.suffix.lower() in SUFFIXES):
            is_meant = not is_linked and _is_among_images(file, folders)
            other |= {file: is_hidden(Path(file.name))} if is_meant else {}
        elif location := _location(file, folders, is_linked=is_linked, is_label=is_label):
            groups[location].append(file)
    findings = [
        finding
        for location, files in groups.items()
        for finding in _left_out(path, sorted(files), location.what, location.fix, location.severity)
    ]
    return [*findings, *_others(path, other)]


def _with_findings(path: Path) -> set[Path]:
    """Label files of other formats, which are named as such."""
    trees = [tree_of(path, split) for split in SPLIT_NAMES]
    return {file for tree in trees for file in unsupported_labels(tree, *files_of(tree)[:2])}


def _folders(path: Path, splits: Sequence[SplitFiles], more: list[Path]) -> Folders:
    images = dict.fromkeys([*(split.images for split in splits), *more, image_folder(path)])
    shared = frozenset(split.labels.parent for split in splits if split.labels.is_file())
    labels = dict.fromkeys([*shared, *(split.labels for split in splits if not split.labels.is_file())])
    listed = frozenset(split.images for split in splits if split.is_listed)
    own = {folder.parent for folder in images if folder.name in ALL_NAMES}
    return Folders(path, tuple(folder for folder in images if folder not in own), tuple(labels), listed, shared)


def _walk(path: Path, folders: Folders, *, is_linked: bool = False) -> Iterator[tuple[Path, bool]]:
    """The files below a folder, and whether each is in a linked one; links to folders that are read do not count."""
    for name, below, files in os.walk(path):
        here = Path(name)
        yield from ((here / file, is_linked) for file in sorted(files))
        below[:] = sorted(entry for entry in below if not entry.startswith(".") and entry not in NOT_MEANT)
        links = [] if is_linked else [here / entry for entry in below if (here / entry).is_symlink()]
        for link in links:
            holds = any(folder == link or link in folder.parents for folder in folders.all)
            yield from _walk(link, folders, is_linked=not holds)


def _is_label(file: Path, folders: Folders) -> bool:
    """Whether a file lies among label files, and could be one."""
    if file.suffix.lower() not in LABEL_SUFFIXES or (file.name in OTHER_JSON and file.parent == folders.root):
        return False
    around = folders.around(file)
    if around in folders.images:
        return around in folders.labels and file.suffix.lower() == ".json"
    parts = {*folders.labels, *(folder.parent for folder in folders.labels if folder.name in ALL_NAMES)}
    return any(folder in file.parents for folder in parts - {folders.root})


def _is_among_images(file: Path, folders: Folders) -> bool:
    """Whether a file of another format or a hidden one lies where images do, and is none that explains them."""
    if is_hidden(Path(file.name)):
        return any(folder in file.parents for folder in (*folders.all, *folders.of_splits))
    if file.parent == folders.root or folders.around(file) in folders.labels:
        return file.parent in folders.images and file.suffix.lower() in (*RAW, *OTHER_IMAGES)
    of_splits = {folder.parent for folder in folders.images if folder.name in ALL_NAMES} - {folders.root}
    return any(folder in file.parents for folder in {*folders.images, *of_splits} - {folders.root})


def _location(file: Path, folders: Folders, *, is_linked: bool, is_label: bool) -> Location | None:
    around, what = folders.around(file), "[label file|label files]" if is_label else "[image|images]"
    if around is None or _meant_below(file, around, is_label=is_label):
        return _beside(file, folders, what, is_label=is_label)
    where = around.relative_to(folders.root)
    if around in folders.listed and not is_linked:
        fix = "nothing to do if that is right; else add their names to a list, or label them"
        return Location(f"{what} that no list names", fix, "note")
    if around in folders.shared and is_label:
        fix = "nothing to do if it is right that the JSON there holds the labels; else take it out"
        return Location(
            f"{what} in {file.parent.relative_to(folders.root)}, beside a JSON for all images,", fix, "note"
        )
    if file.parent == around and is_label:
        return Location(f"{what} without image", "nothing to do if they are not meant; else add their images")
    if file.parent == around:
        fix = "nothing to do if they are not meant: label files of their names are there, too, and are read"
        return Location(f"{what} among the label files in {where}", fix)
    inside = "linked folders" if is_linked else "subfolders"
    return Location(f"{what} in {inside} of {where}", f"move them into {around} itself, each with a name of its own")


def _meant_below(file: Path, around: Path, *, is_label: bool) -> bool:
    """Whether a file, or the folder it is in, has the name of a split, where the folder around it is not one."""
    entry = _next(file, around)
    is_named = entry.name not in ALL_NAMES and bool(meant_split(entry.stem))
    return is_named and around.name not in ALL_NAMES and (entry != file or is_label)


def _beside(file: Path, folders: Folders, what: str, *, is_label: bool) -> Location | None:
    """The location of a file outside of the folders that are read."""
    base = folders.root
    while any(_next(file, base) in (folder, *folder.parents) for folder in folders.all):
        base = _next(file, base)
    entry = _next(file, base)
    where, meant = entry.relative_to(folders.root), meant_split(entry.stem)
    if entry == file and not (is_label and meant):
        if base == folders.root:
            return Location(
                f"{what} beside the folders", "nothing to do if they are not meant; else move them into one"
            )
        fix = f"move them into {base / 'train'} or another split, with their {'images' if is_label else 'labels'}"
        return Location(f"{what} in {base.relative_to(folders.root)} itself, beside its splits,", fix)
    if meant:
        return Location(f"{what} in {where}" if entry != file else what, _meant_fix(meant, entry, base, folders))
    if base not in folders.of_splits:
        fix = "nothing to do, unless they are meant: images belong into the folders that are read, or into a split"
        return Location(f"{what} in {where}", fix, "note")
    if is_label and any((other / entry.name).is_dir() for other in folders.of_splits - {base}):
        return None  # named together with its images
    fix = f"nothing to do if {entry.name!r} is a split of your own, which training does not read; else move them"
    return Location(f"{what} in {where}", fix, "note")


def _next(file: Path, base: Path) -> Path:
    """The entry of a folder that leads to a file below it."""
    return base / file.relative_to(base).parts[0]


def _meant_fix(split: str, entry: Path, base: Path, folders: Folders) -> str:
    """The advice to rename a folder or file of a split; an existing one of that name is not touched."""
    bases = sorted({base, *folders.of_splits, *(folders.all if base in folders.all else ())})
    bases = bases if entry.is_dir() else [base]
    others = [other / entry.name for other in bases if (other / entry.name).exists()]
    moves = [
        f"mv -n {shlex.quote(str(other))} {shlex.quote(str(other.with_name(split + other.suffix)))}"
        for other in others
        if not other.with_name(split + other.suffix).exists()
    ]
    return f"did you mean {split}? {'; '.join(moves) or f'there is a {split} already: put them together'}"


def _others(path: Path, files: dict[Path, bool]) -> list[Finding]:
    """Findings about the files among images that have other formats or are hidden."""
    others = "nothing to do if they are no images; label files belong into the folder of labels"
    return [
        found
        for group in unread(files, others)
        if group.one != "link to no file"  # an error of its own, when it is read
        for found in _left_out(path, group.files, f"[{group.one}|{group.many}]", group.advice)
    ]


def _left_out(path: Path, files: Sequence[Path], what: str, fix: str, severity: Severity = "warning") -> list[Finding]:
    return about(severity, "left-out", files, f"{{n}} {what} [is|are] left out", fix, root=path)
