"""Rules about masks and shapes: a single class, masks that were saved with loss, images without shapes, crowds.

    one class -- masks of 0 and 1, or of 0 and 255 -- background and the class in meta.json
              -- colours, one of them ignored ------- the same
              -- shapes ----------------------------- `background` in classes.txt: what no shape covers

A single class teaches nothing: every pixel has that class or no label.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.class_masks import ClassMaskReader
from cgrseg.data.datasets.coco import MaskReader, Regions
from cgrseg.data.datasets.folder import FileReader
from cgrseg.data.datasets.labelled import OUTSIDE, UNLABELLED
from cgrseg.data.datasets.supervisely import SuperviselyReader
from cgrseg.data.datasets.table import BACKGROUNDS
from cgrseg.data.doctor.examination import Examined, is_drawn
from cgrseg.data.doctor.findings import Finding, about, converted
from cgrseg.types import IGNORE

NEAR = 24
"""Largest distance from black or white of a pixel that is meant to be one of them."""
MOSTLY_NEAR = 0.8
"""Smallest share of such pixels in masks."""
FEWEST_TONES = 5
"""Masks with fewer different values are taken as they are."""


def soft_masks(dataset: LabelledImages, pairs: Sequence[Examined]) -> list[Examined]:
    """The masks of one or two classes that hold values near 0 and 255, as JPEG and smoothing make them."""
    files = [pair for pair in pairs if not pair.labels.problem and pair.labels.header.mode in ("L", "P")]
    if dataset.kind != "folder" or len(dataset.classes) > 2 or not files:
        return []
    counts = np.zeros(256, np.int64)
    for pair in files:
        counts[pair.labels.values] += pair.labels.counts
    tones = np.flatnonzero(counts)
    unknown = [value for value in tones if dataset.lookup[value] == OUTSIDE]
    dark, light = counts[: NEAR + 1].sum(), counts[IGNORE - NEAR :].sum()
    is_mask = min(dark, light) > 0 and (dark + light) / counts.sum() >= MOSTLY_NEAR
    if not is_mask or len(tones) < FEWEST_TONES or max(unknown, default=0) <= IGNORE // 2:
        return []
    return [pair for pair in files if any(value not in (0, IGNORE) for value in pair.labels.values)]


def soft_findings(soft: Sequence[Examined], dataset: LabelledImages, root: Path) -> list[Finding]:
    """A finding about masks with values near 0 and 255, with the command that writes clean copies of them."""
    files: list[Path | str] = [pair.pair.labels for pair in soft]
    change = "Image.open(f).convert('L').point(lambda value: 255 * (value > 127))"
    meta = _meta(mask_names(dataset), [0, IGNORE])
    return about(
        "error",
        "mask-soft",
        files,
        "{n} [mask holds|masks hold] values near 0 and 255 instead of these two, as JPEG or smoothing make them",
        f"{converted(change, files, root, whole_folders=True)}; they have the values 0 and 255, so {meta}",
        root=root,
    )


def one_class(dataset: LabelledImages, values: set[int], root: Path, *, is_source: bool = False) -> list[Finding]:
    """A finding about a data set of one class.

    Args:
        dataset: the data set.
        values: all values in its label maps but that of 16-bit maps for no label.
        root: its folder.
        is_source: whether other data sets bring further classes; then only a mask that classes.txt does not explain
            is an error.
    """
    names = mask_names(dataset)
    name, is_drawn = dataset.classes.names[0], _is_drawn(dataset)
    sentence = f"{name} is the only class: a network learns to see it everywhere, and every score would be 100 %"
    if _is_merged(dataset):
        fix = "merge the other classes into one, such as rest, instead of ignoring them"
    elif is_drawn:
        lines = " and ".join(names)
        fix = f"let {root / 'classes.txt'} hold the lines {lines}: what no shape covers becomes {names[0]}"
    else:
        fix = _mask_fix(dataset, values, names)
    is_plain = int(dataset.lookup[0]) == 0 and not is_drawn
    if is_source and not (is_plain and values - {0}):
        return []
    return [Finding("error", "one-class", sentence, 1, (), fix)]


def mask_names(dataset: LabelledImages) -> list[str]:
    """The two classes that a mask shows: what lies around, and the class that the folder names."""
    names = list(dataset.classes.names)
    if len(names) == 2:
        return names
    return [names[0], "object"] if names[0] in BACKGROUNDS else ["background", names[0]]


def _mask_fix(dataset: LabelledImages, values: set[int], names: list[str]) -> str:
    """The meta.json that makes two classes of a mask; without a value for each, what to do first."""
    table = dataset.read.table if isinstance(dataset.read, FileReader) else None
    if table and table.has_palette and table.void:
        palette = [list(table.void[0]), list(table.classes.colours[0])]
        ignore = [list(colour) for colour in table.void[1:]]
        tree = {"classes": names, "palette": palette, "ignore": [*ignore, IGNORE]}
        return f"in place of meta.json's content write: {json.dumps(tree)}"
    others = sorted(values - {0})
    if 0 in values and others == [IGNORE]:
        return f"255 is the class here, not a missing label: {_meta(names, [0, IGNORE])}"
    shown = [value for value in others if value != IGNORE]
    if 0 in values and len(shown) == 1:
        return _meta(names, [0, shown[0]])
    return f"label what lies around, too, and name it: {names[0]} and {names[1]} are two lines of classes.txt"


def _meta(names: list[str], values: list[int]) -> str:
    ignore = [] if IGNORE in values else [IGNORE]
    tree = json.dumps({"classes": names, "values": values, "ignore": ignore})
    return f"in place of classes.txt write meta.json: {tree}"


def _is_drawn(dataset: LabelledImages) -> bool:
    return any(is_drawn(dataset, pair) for pair in dataset.pairs)


def _is_merged(dataset: LabelledImages) -> bool:
    """Whether the one class was made of several."""
    if isinstance(dataset.read, FileReader | ClassMaskReader | SuperviselyReader):
        return len(dataset.read.table.classes) > 1
    if isinstance(dataset.read, MaskReader):
        return len({value for masks in dataset.read.masks.values() for value, *_ in masks}) > 1
    return True


FEW_CROWDS = 0.1
"""Largest share of crowds among the masks of a data set that outlines groups of objects, as COCO does: 1 %."""


def without_shapes(dataset: LabelledImages, pairs: Sequence[Examined]) -> list[Examined]:
    """The pairs of a folder on which nothing is drawn."""
    value = _unlabelled(dataset)
    drawn = [pair for pair in pairs if dataset.kind == "folder" and is_drawn(dataset, pair.pair)]
    return [pair for pair in drawn if not pair.labels.problem and pair.labels.values.tolist() == [value]]


def shape_findings(datasets: Sequence[LabelledImages], pairs: Sequence[Examined], root: Path) -> list[Finding]:
    """Findings about images without shapes, and about crowds in the JSON files of the splits."""
    dataset = datasets[0]
    empty: list[Path | str] = [pair.pair.image for pair in without_shapes(dataset, pairs)]
    label = int(dataset.lookup[min(_unlabelled(dataset), len(dataset.lookup) - 1)])
    if label < OUTSIDE:
        name = dataset.classes.names[label]
        sentence = f"{{n}} [image has|images have] no shape and [is|are] {name} everywhere ([a negative|negatives])"
        fix = "nothing to do if none of the other classes is in them; otherwise label them"
        findings = about("note", "negatives", empty, sentence, fix, root=root)
    else:
        lines = ", ".join((BACKGROUNDS[0], *dataset.classes.names))
        sentence = "{n} [image has|images have] no shape, so no pixel of [it|them] has a label"
        fix = f"if none of the classes is in them, let {root / 'classes.txt'} hold the lines {lines}; or label them"
        findings = about("warning", "no-shapes", empty, sentence, fix, root=root)
    findings += _crowds([data.read for data in datasets if isinstance(data.read, MaskReader)])
    return findings + _overlaps(datasets, root)


def _overlaps(datasets: Sequence[LabelledImages], root: Path) -> list[Finding]:
    """A finding about masks of different classes that cover the same pixels."""
    images = list[Path | str]()
    for dataset in datasets:
        if isinstance(dataset.read, ClassMaskReader):
            with ThreadPoolExecutor() as threads:
                counts = list(threads.map(dataset.read.overlap, dataset.pairs))
            images += [pair.image for pair, count in zip(dataset.pairs, counts, strict=True) if count]
    return about(
        "warning",
        "overlap",
        images,
        "the masks of {n} [image|images] overlap: the later class in the list of classes counts there",
        "nothing to do if that is right; otherwise list the classes in another order in classes.txt",
        root=root,
    )


def _unlabelled(dataset: LabelledImages) -> int:
    """The value of pixels that no shape covers."""
    if isinstance(dataset.read, FileReader | ClassMaskReader | SuperviselyReader):
        return dataset.read.table.unlabelled
    return dataset.read.unlabelled if isinstance(dataset.read, MaskReader) else UNLABELLED


def _crowds(readers: Sequence[MaskReader]) -> list[Finding]:
    """Findings about masks marked as crowds: those that are read as labels, and those that get none."""
    brushed = {
        name: sum(reader.brushed.get(name, 0) for reader in readers) for reader in readers for name in reader.brushed
    }
    unlabelled = sum(_count(reader.crowds) for reader in readers)
    masks = sum(_count(reader.masks) for reader in readers) + unlabelled
    findings = []
    if brushed:
        names = " and ".join(brushed)
        sentence = f"{sum(brushed.values()):,} masks are marked as crowds, like most masks of {names}: read as labels"
        fix = "nothing to do: CVAT marks every drawn mask so; if they outline groups of objects, take them out"
        findings.append(Finding("note", "crowd-labels", sentence, sum(brushed.values()), tuple(brushed), fix))
    if unlabelled:
        severity = "note" if unlabelled <= FEW_CROWDS * masks else "warning"
        sentence = f"{unlabelled:,} of {masks:,} masks are marked as crowds: no label but where their class is drawn"
        fix = "nothing to do if they outline groups of objects; masks of single objects need iscrowd: 0"
        findings.append(Finding(severity, "crowd", sentence, unlabelled, (), fix))
    return findings


def _count(masks: Regions) -> int:
    return sum(map(len, masks.values()))
