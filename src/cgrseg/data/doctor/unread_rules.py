"""Rules about what a folder of the user's own holds besides the files that are read.

images/            its own images, if it has splits       images/valid       a split of another name
images/train       subfolders, other formats, hidden      annotations/valid  labels of a split that has no images
any other folder   its images
"""

import shlex
from collections.abc import Iterable
from pathlib import Path

from cgrseg.data.datasets.cvat import files_of_split, has_cvat_split, is_cvat, list_names
from cgrseg.data.datasets.folder import LABEL_SUFFIXES, UNLABELLED_FOLDER, is_flat, meant_split
from cgrseg.data.doctor.findings import ASIDE, FIXED, Finding, Severity, about
from cgrseg.data.images import SUFFIXES
from cgrseg.data.left_out import images_below, is_hidden, unread
from cgrseg.errors import DatasetError
from cgrseg.files import readable

READ = ("train", "val", "test", UNLABELLED_FOLDER)
"""Folders in `images` that have a meaning."""


def unread_findings(path: Path) -> list[Finding]:
    """What is not read of a folder: images and labels in other places, of other formats, hidden, linked to nowhere."""
    if is_cvat(path):
        return _unlisted(path)
    if not (path / "images").is_dir():
        return _beside(path)
    return [*_other_splits(path), *_misplaced(path), *_beside(path)]


def _other_splits(path: Path) -> list[Finding]:
    """Findings about folders in `images` and `annotations` that are no split, or not one that training reads."""
    findings, folders = list[Finding](), list[Path]()
    for parent, suffixes in ((path / "images", SUFFIXES), (path / "annotations", LABEL_SUFFIXES)):
        entries = sorted(parent.iterdir()) if parent.is_dir() else []
        folders = [entry for entry in entries if entry.is_dir() and entry.name not in READ and entry.name[0] != "."]
        for folder in folders:
            files = images_below(folder, suffixes)
            if parent.name == "annotations" and (path / "images" / folder.name).is_dir():
                continue  # named together with its images
            findings += _other_split(path, folder, files)
        named = [entry for entry in entries if entry.suffix == ".json" and parent.name == "annotations"]
        wrong = [entry for entry in named if meant_split(entry.stem) not in ("", entry.stem)]
        for file in wrong:
            findings += _left_out(path, [file], "label [file|files]", _meant(meant_split(file.stem), path, file))
    return findings


def _other_split(path: Path, folder: Path, files: list[Path]) -> list[Finding]:
    where, what = folder.relative_to(path), "image" if folder.parent.name == "images" else "label file"
    meant = meant_split(folder.name)
    if meant:
        return _left_out(path, files, f"[{what}|{what}s] in {where}", _meant(meant, path, folder))
    if what == "image" and is_flat(path):
        fix = f"move them into {folder.parent}, each with a name of its own; or make the splits train and val"
        return _left_out(path, files, f"[image|images] in the subfolder {where}", fix)
    fix = f"nothing to do if {folder.name!r} is a split of your own, which training does not read; else move them"
    return _left_out(path, files, f"[{what}|{what}s] in {where}", fix, "note")


def _meant(split: str, path: Path, entry: Path) -> str:
    """The advice to rename a folder or file of a split; an existing one of that name is not touched."""
    others = [path / part / entry.name for part in ("images", "annotations")] if entry.is_dir() else [entry]
    moves = [
        f"mv -n {shlex.quote(str(other))} {shlex.quote(str(other.with_name(split + other.suffix)))}"
        for other in others
        if other.exists() and not other.with_name(split + other.suffix).exists()
    ]
    return f"did you mean {split}? {'; '.join(moves) or f'there is a {split} already: put them together'}"


def _misplaced(path: Path) -> list[Finding]:
    """Findings about files in the folders that are read: in subfolders, of other formats, hidden or beside splits."""
    images, findings = path / "images", list[Finding]()
    if not is_flat(path):
        top = [file for file in sorted(images.iterdir()) if file.is_file()]
        loose = [file for file in top if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")]
        fix = f"move them into {images / 'train'} or another split, with their labels"
        findings += _left_out(path, loose, "[image|images] in images itself, beside its splits,", fix)
    findings += _files(path, images)
    for split in READ:
        for folder in (images / split, path / "annotations" / split):
            if folder.is_dir():
                findings += _files(path, folder) if folder.parent == images else []
                findings += _below(path, folder) if split != UNLABELLED_FOLDER else []
    return findings


def _below(path: Path, folder: Path) -> list[Finding]:
    """Findings about the images or label files in subfolders of a split."""
    what, suffixes = ("image", SUFFIXES) if folder.parent.name == "images" else ("label file", LABEL_SUFFIXES)
    below = [file for file in images_below(folder, suffixes) if file.parent != folder]
    links = [entry for entry in sorted(folder.iterdir()) if entry.is_symlink() and entry.is_dir()]
    linked = [file for entry in links for file in images_below(entry, suffixes)]
    places = [name for name, files in (("subfolders", below), ("linked folders", linked)) if files]
    fix = f"move them into {folder} itself, each with a name of its own"
    where = f"{' and '.join(places)} of {folder.relative_to(path)}"
    return _left_out(path, [*below, *linked], f"[{what}|{what}s] in {where}", fix)


def _files(path: Path, folder: Path) -> list[Finding]:
    """Findings about the files of a folder of images that are not read."""
    files = {file: is_hidden(Path(file.name)) for file in sorted(folder.iterdir()) if not file.is_dir()}
    others = f"nothing to do if they are no images; label files belong into {path / 'annotations'}"
    return [
        found
        for group in unread(files, others)
        if group.one != "link to no file"  # an error of its own, when it is read
        for found in _left_out(path, group.files, f"[{group.one}|{group.many}]", group.advice)
    ]


def _beside(path: Path) -> list[Finding]:
    """Findings about images in further folders of the data set."""
    known = ("images", "annotations", FIXED, ASIDE)
    findings = list[Finding]()
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and entry.name not in known and not entry.name.startswith("."):
            images = images_below(entry)
            severity = "warning" if meant_split(entry.name) else "note"
            findings += _left_out(path, images, f"[image|images] in {entry.name}", _home(path, entry), severity)
    return findings


def _home(path: Path, folder: Path) -> str:
    split = meant_split(folder.name)
    if split:
        return f"did you mean {split}? its images belong into {path / 'images' / split}, its labels into annotations"
    return f"nothing to do, unless they are meant: images belong into {path / 'images'}, one folder for each split"


def _unlisted(path: Path) -> list[Finding]:
    """A finding about images of CVAT's layout that no list names, or that have another format."""
    names, lists = set[str](), list_names(path)
    folder = path / "JPEGImages"
    try:
        for split in lists:
            if has_cvat_split(path, split):
                names.update(files_of_split(path, split)[0])
    except DatasetError:
        return []  # an error of its own
    images = images_below(folder) if lists else []
    others = [file for file in images if readable(file.relative_to(folder).with_suffix("").as_posix()) not in names]
    fix = f"nothing to do if that is right; else add their names to a list in {path / 'ImageSets/Segmentation'}"
    return [*_left_out(path, others, "[image|images] that no list names", fix, "note"), *_files(path, folder)]


def _left_out(path: Path, files: Iterable[Path], what: str, fix: str, severity: Severity = "warning") -> list[Finding]:
    return about(severity, "left-out", list(files), f"{{n}} {what} [is|are] left out", fix, root=path)
