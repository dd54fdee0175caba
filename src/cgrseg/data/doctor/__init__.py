"""Checks of data sets: problems of images and labels, each with its fix.

    splits -- open -- pairs -- examine in parallel -- facts -- rules -- findings

A rule never reads a file, only facts, so that a test can plant a fault for each.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cgrseg.config import Kind, Merge
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.folder import program_name
from cgrseg.data.doctor.class_rules import class_findings, class_uses, differing_classes
from cgrseg.data.doctor.examination import Examined, examine
from cgrseg.data.doctor.file_rules import image_findings, size_findings
from cgrseg.data.doctor.findings import ClassUse, Finding, Report, Severity, by_severity
from cgrseg.data.doctor.label_rules import label_findings
from cgrseg.data.doctor.leaks import leaks
from cgrseg.data.doctor.mask_rules import shape_findings, soft_masks
from cgrseg.data.doctor.pairing import open_split, splits_to_check
from cgrseg.data.doctor.unread_rules import unread_findings
from cgrseg.data.doctor.value_rules import value_findings
from cgrseg.errors import DatasetError

__all__ = [
    "ClassUse",
    "Finding",
    "Report",
    "Severity",
    "check_dataset",
    "examined_report",
    "require_sound",
    "unread_findings",
]

SAMPLE = 32
"""Number of pairs of a split that are checked before a training run."""

Show = Callable[[int, int], None]
"""Called with the number of pairs done and of all."""


def check_dataset(
    kind: Kind,
    path: Path,
    splits: Sequence[str] | None = None,
    merge: Merge | None = None,
    show: Show | None = None,
) -> Report:
    """Check every file of some splits of a data set.

    Args:
        kind: the layout of the files.
        path: the folder of the data set.
        splits: the splits to check and to compare with each other; train and, if it exists, val unless given.
        merge: new classes in terms of the data set's own.
        show: called with the numbers of pairs done and of all.

    Raises:
        MissingExtra: the label files need a package that is not installed.
    """
    return examined_report(kind, path, splits, merge, show)[0]


def examined_report(
    kind: Kind,
    path: Path,
    splits: Sequence[str] | None = None,
    merge: Merge | None = None,
    show: Show | None = None,
    *,
    is_source: bool = False,
) -> tuple[Report, tuple[Examined, ...]]:
    """The report of `check_dataset`, and the facts about each pair behind it.

    Args:
        kind: the layout of the files.
        path: the folder of the data set.
        splits: as for `check_dataset`.
        merge: new classes in terms of the data set's own.
        show: called with the numbers of pairs done and of all.
        is_source: whether the data set is learnt together with others, which may bring further classes.
    """
    names, notes = (splits, []) if splits is not None else splits_to_check(kind, path)
    opened = {split: open_split(kind, path, split, merge) for split in names}
    findings = [finding for _, problems in opened.values() for finding in problems]
    findings += unread_findings(path) if kind == "folder" else []
    findings = [*dict.fromkeys(findings), *notes]  # each split reports the problems of the whole folder
    datasets = {split: dataset for split, (dataset, _) in opened.items() if dataset is not None}
    levels = next(iter(datasets.values())).own_levels() if datasets else None
    datasets = {split: dataset.with_levels(levels) for split, dataset in datasets.items()}
    total, pairs = sum(map(len, datasets.values())), list[Examined]()
    for dataset in datasets.values():
        done = len(pairs)
        pairs += examine(dataset, range(len(dataset)), (lambda n, done=done: show(done + n, total)) if show else None)
    images = {split: len(dataset) for split, dataset in datasets.items()}
    layout = program_name(path, names[0]) if kind == "folder" and names else ""
    if not datasets:
        return Report(kind, path, images, by_severity(findings), (), layout), ()
    first = next(iter(datasets.values()))
    findings += differing_classes({split: dataset.classes for split, dataset in datasets.items()}, path)
    findings += _file_findings(first, pairs, path, is_source=is_source)
    uses = class_uses(first, pairs, list(datasets))
    findings += class_findings(first, pairs, uses, path)
    findings += shape_findings(list(datasets.values()), pairs, path)
    findings += leaks(pairs, path, is_published=kind != "folder")
    findings += [finding for dataset in datasets.values() for finding in _incomplete(dataset)]
    return Report(kind, path, images, by_severity(findings), uses, layout), tuple(pairs)


def _file_findings(dataset: LabelledImages, pairs: Sequence[Examined], path: Path, *, is_source: bool) -> list[Finding]:
    """Findings about images, label files and their values, without the comparison of images."""
    masks = soft_masks(dataset, pairs)
    return [
        *image_findings(pairs, path),
        *label_findings(pairs, dataset, path, masks),
        *size_findings(pairs, path),
        *value_findings(dataset, pairs, path, is_source=is_source),
    ]


def _incomplete(dataset: LabelledImages) -> list[Finding]:
    """A note if the number of images differs from the official release."""
    if dataset.expected in (None, len(dataset)):
        return []
    sentence = f"{dataset.split} holds {len(dataset):,} images where the official release has {dataset.expected:,}"
    fix = "nothing to do if this is a part of it on purpose; otherwise unpack the release again"
    return [Finding("note", "part", sentence, len(dataset), (), fix)]


def require_sound(datasets: Sequence[LabelledImages], path: Path, *, is_source: bool = False) -> None:
    """Check a few pairs of each split, as a training run does before its first step.

    Args:
        datasets: the splits.
        path: their folder.
        is_source: whether they are learnt together with other data sets, which may bring further classes.

    Raises:
        DatasetError: there is an error among the findings.
    """
    pairs = [pair for dataset in datasets for pair in examine(dataset, _spread(len(dataset)), quick=True)]
    dataset = datasets[0]
    findings = _file_findings(dataset, pairs, path, is_source=is_source)
    findings += class_findings(dataset, pairs, class_uses(dataset, pairs, [data.split for data in datasets]), path)
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    rest = f"; {len(errors) - 1} more kinds of error" if len(errors) > 1 else ""
    raise DatasetError(f"{errors[0]}{rest}", advice="`cgrseg data check` shows all of them")


def _spread(length: int) -> list[int]:
    """The indices of a few pairs, evenly spaced from first to last."""
    return np.unique(np.linspace(0, length - 1, min(length, SAMPLE)).round().astype(int)).tolist()
