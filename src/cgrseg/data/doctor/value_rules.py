"""Rules about the values in label maps: values of no class, and labels that are off by one.

values of all maps -- some outside the table -- shifted, one too many, spread, unknown
-- all inside ------------- masks of 0 and 255, a class 0 that never occurs
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.datasets.labelled import OUTSIDE, UNLABELLED, spans
from cgrseg.data.doctor.examination import Examined
from cgrseg.data.doctor.findings import Finding, Severity, about
from cgrseg.data.doctor.label_rules import is_interpolated, stretched_maps
from cgrseg.data.doctor.mask_rules import one_class, soft_findings, soft_masks
from cgrseg.types import IGNORE

LISTED = 5
"""Largest number of values that a finding lists."""
FEWEST_MAPS = 4
"""Smallest number of label maps for a warning that class 0 never occurs."""


@dataclass(frozen=True)
class Seen:
    """The values in the label maps of a data set, without maps whose numbers were changed."""

    dataset: LabelledImages
    root: Path
    files: dict[int, list[Path | str]]
    """The files that hold each value."""
    pixels: dict[int, int]
    """The number of pixels of each value."""
    maps: int
    """The number of label maps."""

    @property
    def values(self) -> set[int]:
        """The values that occur, without those that always mean no label."""
        return {value for value in self.files if value not in (IGNORE, UNLABELLED) or self.is_class(value)}

    @property
    def outside(self) -> list[int]:
        """The values that are neither a class nor ignored."""
        return sorted(value for value in self.files if self.label(value) == OUTSIDE)

    @property
    def is_plain(self) -> bool:
        """Whether this is a folder whose classes have the values 0..k-1."""
        table = self.dataset.lookup[: len(self.dataset.classes)]
        return self.dataset.kind == "folder" and np.array_equal(table, np.arange(len(table)))

    def label(self, value: int) -> int:
        """The label of a value in a label file: a class, OUTSIDE or ignore."""
        return int(self.dataset.lookup[min(value, len(self.dataset.lookup) - 1)])

    def is_class(self, value: int) -> bool:
        """Whether a value stands for a class."""
        return self.label(value) < OUTSIDE

    def files_with(self, values: Sequence[int]) -> list[Path | str]:
        """The files that hold one of the values."""
        return sorted({file for value in values for file in self.files[value]}, key=str)


def seen_values(dataset: LabelledImages, pairs: Sequence[Examined], root: Path) -> Seen:
    """Collect the values of all label maps whose numbers were not changed."""
    changed = {*stretched_maps(pairs), *soft_masks(dataset, pairs)}
    whole = [pair for pair in pairs if not pair.labels.problem and not is_interpolated(pair) and pair not in changed]
    files: dict[int, list[Path | str]] = {}
    pixels: dict[int, int] = {}
    for pair in whole:
        for value, count in zip(pair.labels.values.tolist(), pair.labels.counts.tolist(), strict=True):
            files.setdefault(value, []).append(pair.pair.labels)
            pixels[value] = pixels.get(value, 0) + count
    return Seen(dataset, root, files, pixels, len(whole))


def value_findings(dataset: LabelledImages, pairs: Sequence[Examined], root: Path, *, is_source: bool) -> list[Finding]:
    """Findings about values that do not fit the table of classes, and about a table of one class."""
    seen, soft = seen_values(dataset, pairs, root), soft_masks(dataset, pairs)
    findings = soft_findings(soft, dataset, root)
    if len(dataset.classes) > 1:
        return findings + _in_table(seen)
    values = set(seen.files) - {UNLABELLED} | ({0, IGNORE} if soft else set())
    single = one_class(dataset, values, root, is_source=is_source)
    return [*findings, *single, *(_unknown(seen) if seen.outside and (not single or len(seen.outside) > 1) else ())]


def _in_table(seen: Seen) -> list[Finding]:
    """Findings about the values in the label maps of two classes or more."""
    if not seen.outside:
        return _inside(seen)
    k = len(seen.dataset.classes)
    if seen.is_plain and seen.outside == [k]:
        return _one_too_high(seen) if 0 not in seen.values else _one_too_many(seen)
    if seen.dataset.kind == "ade20k" and seen.outside == [IGNORE]:
        return _shifted_already(seen)
    if seen.is_plain and len(seen.values) == k:
        return _spread(seen)
    return _unknown(seen)


def _finding(
    seen: Seen, code: str, files: list[Path | str], sentence: str, fix: str, severity: Severity = "error"
) -> list[Finding]:
    return about(severity, code, files, sentence, fix, root=seen.root)


def _one_too_high(seen: Seen) -> list[Finding]:
    k = len(seen.dataset.classes)
    sentence = (
        f"labels are one too high: values are {_text(seen.values)}, 0 never occurs, and the classes are 0..{k - 1}"
    )
    return _finding(seen, "shifted", seen.files_with([k]), sentence, meta_line(seen.dataset.classes, range(1, k + 1)))


def _one_too_many(seen: Seen) -> list[Finding]:
    k = len(seen.dataset.classes)
    sentence = f"values are {_text(seen.values)}, one more than the {k} classes; {{n}} [file holds|files hold] {k}"
    line = meta_line(seen.dataset.classes, range(1, k + 1), [0])
    fix = f"if 0 means no label: {line}; if 0 is the background, put its name first in classes.txt"
    return _finding(seen, "one-too-many", seen.files_with([k]), sentence, fix)


def _shifted_already(seen: Seen) -> list[Finding]:
    fix = "put them into a data set of kind `folder`, with the 150 names of ADE20K in classes.txt"
    sentence = (
        "{n} [label map holds|label maps hold] 255, which the release never does: all values were lowered by 1 already"
    )
    return _finding(seen, "shifted-already", seen.files_with(seen.outside), sentence, fix)


def _spread(seen: Seen) -> list[Finding]:
    values = sorted(seen.values)
    sentence = f"values are {_text(seen.values)}: as many as classes, but spread out for viewing, in {{n}} [file|files]"
    return _finding(seen, "spread", seen.files_with(seen.outside), sentence, meta_line(seen.dataset.classes, values))


def _unknown(seen: Seen) -> list[Finding]:
    outside = seen.outside
    counts = ", ".join(f"{value} in {seen.pixels[value]:,} pixels" for value in outside[:LISTED])
    more = f" and {len(outside) - LISTED:,} more values" if len(outside) > LISTED else ""
    inside = np.flatnonzero(seen.dataset.lookup < OUTSIDE)
    sentence = (
        f"{{n}} [label file holds|label files hold] values of no class: {counts}{more}; classes are {spans(inside)}"
    )
    listed = ", ".join(map(str, outside[:20]))
    fix = f'if they mean no label, add to meta.json: "ignore": [{listed}, 255]; else add their classes there'
    if seen.dataset.kind != "folder":
        fix = f"these are not the label files of the release; values of your own go into a folder with {fix}"
    return _finding(seen, "outside", seen.files_with(outside), sentence, fix)


def _inside(seen: Seen) -> list[Finding]:
    """Findings about suspicious values although all of them are in the table."""
    k, values = len(seen.dataset.classes), seen.values
    if not seen.is_plain or k < 2:
        return []
    if values <= {0} and IGNORE in seen.files:
        sentence = "{n} [label map holds|label maps hold] 255, which is read as no label, and no class occurs but 0"
        fix = meta_line(seen.dataset.classes, [0, IGNORE, *range(1, k - 1)])
        return _finding(seen, "mask-255", seen.files_with([IGNORE]), sentence, fix)
    if values == set(range(1, k)) and k > 2 and seen.maps >= FEWEST_MAPS:
        name, last = seen.dataset.classes.names[0], seen.dataset.classes.names[-1]
        sentence = f"0 ({name}) never occurs in {{n}} label maps, all of 1..{k - 1} do: are labels one too high?"
        fix = f"look at them: cgrseg data show; if so, {meta_line(seen.dataset.classes, range(1, k + 1))}"
        return _finding(seen, "zero-never", seen.files_with([k - 1]), f"{sentence} ({last} is {k - 1})", fix, "warning")
    return []


def meta_line(classes: ClassTable, values: Sequence[int], ignore: Sequence[int] = ()) -> str:
    """The fix: a meta.json that gives the classes other values."""
    tree = {"classes": list(classes.names), "values": list(values)}
    ignored = [value for value in (*ignore, IGNORE) if value not in values]
    return f"in place of classes.txt write meta.json: {json.dumps(tree | {'ignore': ignored})}"


def _text(values: set[int]) -> str:
    return spans(np.array(sorted(values)))
