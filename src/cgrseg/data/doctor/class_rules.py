"""Rules about classes: how often they occur, and which never do."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.doctor.examination import Examined
from cgrseg.data.doctor.findings import ClassUse, Finding, Severity, about
from cgrseg.data.doctor.mask_rules import without_shapes
from cgrseg.types import IGNORE

MOSTLY = 0.9
"""Share of unlabelled pixels above which a data set gets a warning."""


def class_uses(dataset: LabelledImages, pairs: Sequence[Examined], splits: Sequence[str]) -> tuple[ClassUse, ...]:
    """The number of pixels and images of each class in each split."""
    k = len(dataset.classes)
    pixels = {split: np.zeros(256, np.int64) for split in splits}
    images = {split: np.zeros(256, np.int64) for split in splits}
    for pair in pairs:
        labels = _labels(dataset, pair)
        np.add.at(pixels[pair.split], labels, pair.labels.counts)
        images[pair.split][np.unique(labels)] += 1
    rows = zip(dataset.classes.names, dataset.classes.colours, range(k), strict=True)
    return tuple(ClassUse(name, colour, _at(pixels, label), _at(images, label)) for name, colour, label in rows)


def _at(counts: dict[str, np.ndarray], label: int) -> dict[str, int]:
    return {split: int(numbers[label]) for split, numbers in counts.items()}


def _labels(dataset: LabelledImages, pair: Examined) -> np.ndarray:
    """The class of each value of a pair's label map."""
    return dataset.lookup[np.minimum(pair.labels.values, len(dataset.lookup) - 1)]


def class_findings(
    dataset: LabelledImages, pairs: Sequence[Examined], uses: Sequence[ClassUse], root: Path
) -> list[Finding]:
    """Findings about classes that never occur, and label maps without or with a single class."""
    whole = [pair for pair in pairs if not pair.labels.problem]
    return [*_maps(dataset, whole, root), *_unseen(dataset, uses, root)] if whole else []


def _maps(dataset: LabelledImages, pairs: Sequence[Examined], root: Path) -> list[Finding]:
    shares = [_unlabelled(dataset, pair) for pair in pairs]
    is_any_blank, total = max(shares) == 1, len(pairs)
    empty = frozenset(without_shapes(dataset, pairs))  # these have a finding of their own
    shown = [(pair, share) for pair, share in zip(pairs, shares, strict=True) if pair not in empty]
    blank = [_file(pair) for pair, share in shown if share == 1]
    single = [_file(pair) for pair, share in shown if len(pair.labels.values) == 1 and share < 1]
    if min(shares) == 1:
        blank = [_file(pair) for pair in pairs]
        fix = "label the images, or list in meta.json which values are classes and which mean no label"
        return about("error", "nothing-labelled", blank, "no pixel of all {n} label maps has a class", fix, root=root)
    findings = about(
        "warning",
        "map-unlabelled",
        blank,
        f"{{n}} of {total:,} label maps [has|have] no class anywhere",
        f"label them or take the pairs out; the first is {blank[0] if blank else ''}",
        root=root,
    )
    findings += about(
        "warning" if 2 * len(single) > total else "note",
        "map-single",
        single,
        f"{{n}} of {total:,} label maps [holds|hold] one value only",
        "look at them: cgrseg data show; nothing to do if those images show one class",
        root=root,
    )
    if not is_any_blank and len(dataset.classes) > 1 and sum(shares) / total > MOSTLY:
        advice = "if the unlabelled pixels are background, add a class called background: it takes what no shape covers"
        sentence = f"{sum(shares) / total:.0%} of the pixels have no label"
        findings.append(Finding("warning", "mostly-unlabelled", sentence, total, (), advice))
    return findings


def _file(pair: Examined) -> Path | str:
    """The label file of a pair, or the image if the file holds the labels of others, too."""
    return pair.files[-1]


def _unlabelled(dataset: LabelledImages, pair: Examined) -> float:
    """The share of unlabelled pixels in a label map."""
    counts = pair.labels.counts
    return float(counts[_labels(dataset, pair) == IGNORE].sum() / counts.sum())


def _unseen(dataset: LabelledImages, uses: Sequence[ClassUse], root: Path) -> list[Finding]:
    """Findings about classes without a pixel; mere notes in a release, a part of which is likely to lack some."""
    severity: Severity = "warning" if dataset.kind == "folder" else "note"
    release_fix = "" if dataset.kind == "folder" else "nothing to do; a part of a release rarely holds every class"
    never = [use.name for use in uses if not any(use.pixels.values())]
    k, splits = len(uses), list(uses[0].pixels)
    findings = about(
        severity,
        "unseen",
        never,
        f"{{n}} of {k} classes never [occurs|occur]",
        release_fix or "do the classes belong to these labels? if so, merge the classes without these, or label some",
        root=root,
    )
    if "train" not in splits:
        return findings
    others = [split for split in splits if split != "train"]
    new = [use.name for use in uses if not use.pixels["train"] and any(use.pixels[split] for split in others)]
    unscored = [use.name for use in uses if use.pixels["train"] and not any(use.pixels[split] for split in others)]
    findings += about(
        severity,
        "unlearnt",
        new,
        f"{{n}} [class occurs|classes occur] in {' and '.join(others)} but never in train: IoU will be 0",
        release_fix or "move some of their images, with labels, into train",
        root=root,
    )
    return (
        findings
        if not others
        else findings
        + about(
            "note",
            "unscored",
            unscored,
            f"{{n}} [class occurs|classes occur] in train but not in {' and '.join(others)}: [it gets|they get] "
            "no score",
            release_fix or "move some of their images, with labels, out of train",
            root=root,
        )
    )


def differing_classes(tables: dict[str, ClassTable], root: Path) -> list[Finding]:
    """A finding if splits have different classes, as COCO's JSON files may."""
    if len({table.names for table in tables.values()}) < 2:
        return []
    sizes = ", ".join(f"{split} has {len(table)}" for split, table in tables.items())
    fix = f"write the names to {root / 'classes.txt'}, one per line: that file applies to all splits"
    return [Finding("error", "classes-differ", f"the splits name different classes: {sizes}", len(tables), (), fix)]
