"""Opening a split for a check: files that do not pair become findings, the remaining pairs are checked."""

import shlex
from collections import defaultdict
from pathlib import Path

from cgrseg.classes import read_published
from cgrseg.config import Kind, Merge
from cgrseg.data.datasets import LabelledImages, Pair, open_dataset
from cgrseg.data.datasets.cvat import SAVED, Files, files_of_split, find_list, is_cvat
from cgrseg.data.datasets.folder import LABEL_SUFFIXES, FileReader, folders_of, has_split
from cgrseg.data.datasets.labelled import Layout, lookup_of
from cgrseg.data.datasets.layouts import folded, renamed_like
from cgrseg.data.datasets.merging import merge_classes
from cgrseg.data.datasets.table import Table, read_table
from cgrseg.data.doctor.findings import Finding, about, converted, set_aside
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError, MissingExtra
from cgrseg.files import readable


def splits_to_check(kind: Kind, path: Path) -> tuple[tuple[str, ...], list[Finding]]:
    """The splits that a training run would read; for a folder without val, a note that it is split by content."""
    if kind != "folder" or has_split(path, "val"):
        return ("train", "val"), []
    sentence = "there is no split 'val'; cgrseg train without a recipe scores on a fifth of train, chosen by content"
    fix = f"nothing to do; or put images to score on into {path / 'images/val'} and {path / 'annotations/val'}"
    if is_cvat(path):
        fix = f"nothing to do; or list images to score on in {path / 'ImageSets/Segmentation/val.txt'}"
    return ("train",), [Finding("note", "no-val", sentence, 1, (), fix)]


def open_split(
    kind: Kind, path: Path, split: str, merge: Merge | None = None
) -> tuple[LabelledImages | None, list[Finding]]:
    """Open a split as far as possible; the findings say why the rest cannot be read."""
    if kind == "folder" and path.is_dir() and not (path / "annotations" / f"{split}.json").is_file():
        return _open_folder(path, split, merge)
    try:
        return open_dataset(kind, path, split, merge=merge), []
    except MissingExtra:
        raise
    except DatasetError as error:
        return None, [
            Finding("error", "layout", error.problem, 1, (), _layout_fix(kind, error.advice or error.problem))
        ]


def _layout_fix(kind: Kind, advice: str) -> str:
    if kind == "folder":
        return advice
    known = read_published(kind)
    archive = known.files[0] if known.files else known.home
    return f"{advice}; unpack the release again if some of its files are missing: {archive}"


def _open_folder(path: Path, split: str, merge: Merge | None) -> tuple[LabelledImages | None, list[Finding]]:
    table, findings = _table(path)
    images, labels, problems = (_files_in_lists if is_cvat(path) else _files_in_folders)(path, split)
    findings += problems
    pairs = tuple(Pair(stem, images[stem][0], labels[stem][0]) for stem in sorted(images.keys() & labels.keys()))
    if table is None or not pairs:
        return None, findings
    layout = Layout(table.classes, lookup_of(table.raw, table.ignored), pairs, FileReader(table))
    try:
        layout = merge_classes(layout, merge) if merge else layout
    except DatasetError as error:
        fix = "mention every class once among the merged ones, or under the key `ignore`"
        return None, [*findings, Finding("error", "merge", str(error), 1, (), fix)]
    return LabelledImages("folder", split, layout.classes, pairs, layout.lookup, layout.read), findings


def _files_in_folders(path: Path, split: str) -> tuple[Files, Files, list[Finding]]:
    """The images and label files of a split by name, and what is wrong with them."""
    folders = folders_of(path, split)
    for folder in folders:
        if not folder.is_dir():
            fix = f"mkdir -p {folders[0]} {folders[1]}   # images go into the first, labels into the second"
            sentence = f"the split {split!r} has no folder {folder.relative_to(path)}"
            return {}, {}, [Finding("error", "no-folder", sentence, 1, (), fix)]
    images, labels = _by_stem(folders[0], SUFFIXES), _by_stem(folders[1], LABEL_SUFFIXES)
    images = renamed_like(images, labels)
    return images, labels, _pairing(path, split, images, labels, folders)


def _files_in_lists(path: Path, split: str) -> tuple[Files, Files, list[Finding]]:
    """The same for a split of CVAT's layout."""
    try:
        names, images, labels = files_of_split(path, split)
    except DatasetError as error:
        return {}, {}, [Finding("error", "layout", error.problem, 1, (), error.advice)]
    if not images and not labels:
        sentence = f"the split {split!r} lists no name that has an image or a label map"
        return {}, {}, [Finding("error", "no-pictures", sentence, 1, (), SAVED)]
    listing = find_list(path, split)
    no_labels = [images[name][0] for name in names if name in images and name not in labels]
    no_images: list[Path | str] = [name for name in names if name not in images]
    findings = about(
        "error",
        "no-label",
        no_labels,
        f"{{n}} of {len(images):,} images of {split} [has|have] no label file",
        f"label them, or take their names out of {listing}",
        root=path,
    )
    sentence = f"{{n}} of {len(names):,} names of {split} [has|have] no image in JPEGImages"
    return images, labels, findings + about("error", "no-picture", no_images, sentence, SAVED, root=path)


def _table(path: Path) -> tuple[Table | None, list[Finding]]:
    try:
        table = read_table(path)
    except DatasetError as error:
        return None, [Finding("error", "classes", error.problem, 1, (), _table_fix(path, error.advice))]
    if table is None:
        fix = f"write {path / 'classes.txt'}: the name of a class on each line, in order of label"
        return None, [Finding("error", "no-classes", f"{path} names no classes", 1, (), fix)]
    return table, []


def _table_fix(path: Path, advice: str) -> str:
    file = "classes.txt" if (path / "classes.txt").is_file() else "meta.json"
    if (path / "meta.json").is_file() and file == "classes.txt":
        return f"keep only one of the files that name classes: {advice}"
    return f"edit {path / file}: {advice or 'see Your own images in docs/datasets.md'}"


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> Files:
    files: Files = defaultdict(list)
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in suffixes and not file.name.startswith("."):
            files[readable(file.stem)].append(file)
    return dict(files)


def _pairing(path: Path, split: str, images: Files, labels: Files, folders: tuple[Path, Path]) -> list[Finding]:
    """Findings about files with equal names, without partner, or in a format that is never read."""
    folder = folders[1]
    named = set(map(folded, images)), set(map(folded, labels))
    unsupported = [file for file in sorted(folder.iterdir()) if _is_unsupported(file, *named)]
    duplicates = [
        file for files in (images, labels) for group in files.values() if len(group) > 1 for file in group[1:]
    ]
    findings = about(
        "error",
        "same-stem",
        duplicates,
        "{n} [file has|files have] the name of another, apart from the suffix",
        f"give them names of their own, or take them out: {set_aside(duplicates, path)}",
        root=path,
    )
    findings += about(
        "error",
        "label-format",
        unsupported,
        "{n} [label file has|label files have] a format that is not read, or loses class numbers",
        _unsupported_fix(unsupported, path),
        root=path,
    )
    if not images and not labels:
        sentence = f"the split {split!r} holds no images"
        findings.append(Finding("error", "no-pictures", sentence, 1, (), f"copy images into {folders[0]}"))
    others = {folded(file.stem) for file in unsupported}
    return findings + _alone(path, split, images, labels, folders, others)


def _alone(
    path: Path, split: str, images: Files, labels: Files, folders: tuple[Path, Path], others: set[str]
) -> list[Finding]:
    """Findings about images without labels and labels without images.

    Args:
        path: the folder of the data set.
        split: its split.
        images: the images.
        labels: the label files.
        folders: the folders of both.
        others: the folded names of label files in another format, which have a finding of their own.
    """
    no_labels = [images[stem][0] for stem in sorted(images.keys() - labels.keys()) if folded(stem) not in others]
    no_images = [labels[stem][0] for stem in sorted(labels.keys() - images.keys())]
    renaming = _renaming(folders[1], images, labels)
    total = sum(map(len, images.values()))
    findings = about(
        "error",
        "no-label",
        no_labels,
        f"{{n}} of {total:,} images of {split} [has|have] no label file",
        renaming or f"label them, or take them out: {set_aside(no_labels, path)}",
        root=path,
    )
    return findings + about(
        "error",
        "no-picture",
        no_images,
        f"{{n}} [label file|label files] of {split} [has|have] no image",
        renaming or _unpaired_fix(no_images, folders[0], path),
        root=path,
    )


def _unpaired_fix(labels: list[Path], folder: Path, root: Path) -> str:
    """The fix for labels without image: images in a format that is not read may lie there."""
    stems = {folded(file.stem) for file in labels}
    other = next((file for file in sorted(folder.iterdir()) if file.is_file() and folded(file.stem) in stems), None)
    if other is not None:
        return f"save {other.name} and its like as JPEG or PNG: {other.suffix or 'a name without suffix'} is not read"
    return f"find the images, or take the labels out: {set_aside(labels, root)}"


def _is_unsupported(file: Path, images: set[str], labels: set[str]) -> bool:
    """Whether a file among the labels is none that is read but an image, or named like an image without labels."""
    if file.suffix.lower() in LABEL_SUFFIXES or file.name.startswith(".") or not file.is_file():
        return False
    name = folded(file.stem)
    return name not in labels and (file.suffix.lower() in SUFFIXES or name in images)


def _unsupported_fix(files: list[Path], root: Path) -> str:
    suffixes = {file.suffix.lower() for file in files}
    if suffixes & {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"}:
        return "export the labels again as PNG: JPEG has changed their numbers, and converting does not bring them back"
    if suffixes <= {".ppm", ".pgm", ".pbm", ".pnm", ".tga"}:
        return converted("Image.open(f)", files, root)
    return f"export the labels again: what is read are {', '.join(LABEL_SUFFIXES)}"


def _renaming(folder: Path, images: Files, labels: Files) -> str:
    """The command that renames label files if all names have the same addition to those of their images."""
    left, right = sorted(images.keys() - labels.keys()), sorted(labels.keys() - images.keys())
    if not left or len(left) != len(right):
        return ""
    for is_end in (True, False):
        words = {_addition(name, own, is_end=is_end) for name, own in zip(right, left, strict=True)}
        word = words.pop() if len(words) == 1 else ""
        if word:
            kept = f'"${{f%{word}.*}}.${{f##*.}}"' if is_end else f'"${{f#{word}}}"'
            wanted = f"*{word}.*" if is_end else f"{word}*"
            target = shlex.quote(str(folder))
            return f'cd {target} && for f in {wanted}; do mv -n "$f" {kept}; done   # without {word!r} names are equal'
    return ""


def _addition(name: str, own: str, *, is_end: bool) -> str:
    """The part of a name that another one lacks, at its end or at its beginning; empty if they differ otherwise."""
    if is_end:
        return name[len(own) :] if name.startswith(own) else ""
    return name[: len(name) - len(own)] if name.endswith(own) else ""
