"""Opening a split for a check: files that do not pair become findings, the remaining pairs are checked."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cgrseg.classes import read_published
from cgrseg.config import Kind, Merge
from cgrseg.data.datasets import LabelledImages, Pair, open_dataset
from cgrseg.data.datasets.cvat import SAVED, files_of_split, is_cvat
from cgrseg.data.datasets.folder import FileReader, ending_notes, form_of, has_split, layout_advice
from cgrseg.data.datasets.labelled import Layout, Note, lookup_of
from cgrseg.data.datasets.labelme import shape_names
from cgrseg.data.datasets.layouts import folded
from cgrseg.data.datasets.merging import merge_classes
from cgrseg.data.datasets.table import Table, read_table
from cgrseg.data.datasets.trees import (
    LABEL_SUFFIXES,
    Files,
    Tree,
    files_of,
    folders_advice,
    paired_or_negative,
    tree_of,
)
from cgrseg.data.doctor.findings import Finding, about, converted, set_aside, short
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError, MissingExtra
from cgrseg.files import readable


def splits_to_check(kind: Kind, path: Path) -> tuple[tuple[str, ...], list[Finding]]:
    """The splits that a training run would read; for a folder without val, a note that it is split by content."""
    if kind != "folder" or has_split(path, "val"):
        return ("train", "val"), []
    sentence = "there is no split 'val'; cgrseg train without a recipe scores on a fifth of train, chosen by content"
    return ("train",), [Finding("note", "no-val", sentence, 1, (), _val_fix(path))]


def _val_fix(path: Path) -> str:
    """How to bring images to score on."""
    try:
        form, tree = form_of(path, "train"), tree_of(path, "val")
    except DatasetError:
        return "nothing to do"
    if form == "cvat":
        return f"nothing to do; or list images to score on in {path / 'ImageSets/Segmentation/val.txt'}"
    if form != "tree":
        return "nothing to do; or export images to score on as a split of their own"
    if tree_of(path, "train").is_mixed:
        return f"nothing to do; or put images to score on, with their label files, into {path / 'val'}"
    return f"nothing to do; or put images to score on into {tree.images} and {tree.labels}"


def open_split(
    kind: Kind, path: Path, split: str, merge: Merge | None = None
) -> tuple[LabelledImages | None, list[Finding]]:
    """Open a split as far as possible; the findings say why the rest cannot be read."""
    try:
        if kind == "folder" and path.is_dir() and form_of(path, split) in ("cvat", "tree"):
            return _open_folder(path, split, merge)
        dataset = open_dataset(kind, path, split, merge=merge)
    except MissingExtra:
        raise
    except DatasetError as error:
        return None, [Finding("error", "layout", error.problem, 1, (), _layout_fix(kind, error.advice))]
    return dataset, _noted(dataset.notes, path)


def _noted(notes: Iterable[Note], root: Path) -> list[Finding]:
    """The notes of a reader as findings."""
    return [
        Finding(
            "warning" if note.is_warning else "note",
            note.code,
            note.sentence,
            max(len(note.files), 1),
            tuple(short(file, root) for file in note.files),
            note.fix,
        )
        for note in notes
    ]


def _layout_fix(kind: Kind, advice: str) -> str:
    if kind == "folder":
        return advice or "correct it, or export the labels again"
    known = read_published(kind)
    archive = known.files[0] if known.files else known.home
    again = f"unpack the release again if some of its files are missing: {archive}"
    return f"{advice}; {again}" if advice else again


def _open_folder(path: Path, split: str, merge: Merge | None) -> tuple[LabelledImages | None, list[Finding]]:
    is_listed = is_cvat(path)
    table, findings = _table(path, None if is_listed else tree_of(path, split).images)
    if is_listed:
        pairs, problems = _listed_pairs(path, split, has_background=table is not None and table.has_background)
    else:
        images, labels, problems = _files_in_folders(path, split)
        findings = [_with_names(finding, path, labels) for finding in findings]
        names = sorted(images.keys() & labels.keys())
        pairs = tuple(Pair(name, images[name][0], labels[name][0]) for name in names)
    findings = problems if any(finding.code == "no-folder" for finding in problems) else findings + problems
    if table is None or not pairs:
        return None, findings
    layout = Layout(table.classes, lookup_of(table.raw, table.ignored), pairs, FileReader(table))
    try:
        layout = merge_classes(layout, merge) if merge else layout
    except DatasetError as error:
        fix = "mention every class once among the merged ones, or under the key `ignore`"
        return None, [*findings, Finding("error", "merge", str(error), 1, (), fix)]
    return LabelledImages("folder", split, layout.classes, pairs, layout.lookup, layout.read), findings


def _with_names(finding: Finding, path: Path, labels: Files) -> Finding:
    """A finding about missing classes, with the names of the shapes, if there are any."""
    if finding.code != "no-classes":
        return finding
    names = shape_names(file for group in labels.values() for file in group if file.suffix.lower() == ".json")
    if not names:
        return finding
    fix = f"write {path / 'classes.txt'} with a name on each line; the shapes are called {', '.join(names)}"
    return replace(finding, fix=fix)


def _files_in_folders(path: Path, split: str) -> tuple[Files, Files, list[Finding]]:
    """The images and label files of a split by name, and what is wrong with them."""
    tree = tree_of(path, split)
    for folder in (tree.images, tree.labels):
        if not folder.is_dir():
            fix = f"mkdir -p {tree.images} {tree.labels}   # images go into the first, labels into the second"
            fix = fix if has_split(path, "train") else layout_advice(path, split)
            sentence = f"the split {split!r} has no folder {folder.relative_to(path)}"
            return {}, {}, [Finding("error", "no-folder", sentence, 1, (), fix)]
    images, labels, endings = files_of(tree)
    notes = _noted(ending_notes(endings), path)
    return images, labels, notes + _pairing(path, split, images, labels, tree)


def _listed_pairs(path: Path, split: str, *, has_background: bool) -> tuple[tuple[Pair, ...], list[Finding]]:
    """The pairs of a split of CVAT's layout, and what is wrong with the others."""
    try:
        names, images, labels = files_of_split(path, split)
        if not images and not labels:
            sentence = f"the split {split!r} lists no name that has an image or a label map"
            return (), [Finding("error", "no-pictures", sentence, 1, (), SAVED)]
        there = [name for name in names if name in images]
        missing: list[Path | str] = [name for name in names if name not in images]
        pairs, notes = paired_or_negative(
            there,
            images,
            {name: labels[name] for name in there if name in labels},
            path / "SegmentationClass",
            f"split {split!r} of {path}",
            has_background=has_background,
        )
    except DatasetError as error:
        return (), [Finding("error", "layout", error.problem, 1, (), error.advice or SAVED)]
    sentence = f"{{n}} of {len(names):,} names of {split} [has|have] no image in JPEGImages"
    return pairs, _noted(notes, path) + about("error", "no-picture", missing, sentence, SAVED, root=path)


def _table(path: Path, split: Path | None) -> tuple[Table | None, list[Finding]]:
    try:
        table = read_table(path, split)
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


def _pairing(path: Path, split: str, images: Files, labels: Files, tree: Tree) -> list[Finding]:
    """Findings about files with equal names, without partner, or in a format that is never read."""
    unsupported = unsupported_labels(tree, images, labels)
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
        findings.append(Finding("error", "no-pictures", sentence, 1, (), f"copy images into {tree.images}"))
    others = {folded(readable(file.stem)) for file in unsupported}
    return findings + _alone(path, split, images, labels, tree, others)


def unsupported_labels(tree: Tree, images: Files, labels: Files) -> list[Path]:
    """The files in the folder of labels that are meant to be label files, but have a format that is not read."""
    if tree.is_mixed or not tree.labels.is_dir():
        return []
    named = set(map(folded, images)), set(map(folded, labels))
    return [file for file in sorted(tree.labels.iterdir()) if _is_unsupported(file, *named)]


def _alone(path: Path, split: str, images: Files, labels: Files, tree: Tree, others: set[str]) -> list[Finding]:
    """Findings about images without labels and labels without images.

    Args:
        path: the folder of the data set.
        split: its split.
        images: the images.
        labels: the label files.
        tree: the folders of both.
        others: the folded names of label files in another format, which have a finding of their own.
    """
    no_labels = [images[stem][0] for stem in sorted(images.keys() - labels.keys()) if folded(stem) not in others]
    no_images = [labels[stem][0] for stem in sorted(labels.keys() - images.keys())]
    renaming = folders_advice(tree, images, labels) or _renaming(tree.labels, images, labels)
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
        renaming or _unpaired_fix(no_images, tree.images, path),
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
    name = folded(readable(file.stem))
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
