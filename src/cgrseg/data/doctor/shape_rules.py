"""Rules about shapes in LabelMe's and COCO's files: images without any, and regions marked as crowds."""

from collections.abc import Sequence
from pathlib import Path

from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.coco import MaskReader, Masks
from cgrseg.data.datasets.folder import FileReader
from cgrseg.data.datasets.labelled import OUTSIDE, UNLABELLED
from cgrseg.data.datasets.table import BACKGROUNDS
from cgrseg.data.doctor.examination import Examined
from cgrseg.data.doctor.findings import Finding, about

FEW_CROWDS = 0.1
"""Largest share of crowds among the masks of a data set that outlines groups of objects, as COCO does: 1 %."""


def without_shapes(dataset: LabelledImages, pairs: Sequence[Examined]) -> list[Examined]:
    """The pairs of a folder whose JSON draws nothing."""
    value = _unlabelled(dataset)
    drawn = [pair for pair in pairs if dataset.kind == "folder" and pair.pair.labels.suffix.lower() == ".json"]
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
    return findings + _crowds([data.read for data in datasets if isinstance(data.read, MaskReader)])


def _unlabelled(dataset: LabelledImages) -> int:
    """The value of pixels that no shape covers."""
    if isinstance(dataset.read, FileReader):
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


def _count(masks: Masks) -> int:
    return sum(map(len, masks.values()))
