"""The doctor of several data sets: each with its own labels first, then what only shows when they become one.

    sources -- check each, keep its facts --+-- reports, by source
                                            +-- common classes: who teaches them -- untaught, unscored
                                            +-- same or look-alike images ---------- leak, near-leak, twice
                                                of two sources ---- labels --------- contradiction

Axes: k common classes, s labels of the mixture (classes, sets of classes, 255).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from cgrseg.classes import ClassTable
from cgrseg.config import SourceConfig
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.doctor import examined_report
from cgrseg.data.doctor.examination import Examined
from cgrseg.data.doctor.findings import SEVERITIES, ClassUse, Finding, Report, Severity, about, by_severity
from cgrseg.data.images import resize_labels
from cgrseg.data.mixture import MixtureReader, open_mixture
from cgrseg.data.similarity import near_duplicates, signs
from cgrseg.types import IGNORE

CONTRARY = 0.05
"""Share of the pixels labelled in both sources at which their labels exclude each other that is worth a word."""
HERE = Path()


@dataclass(frozen=True)
class MixtureReport:
    """Everything that a check of several data sets found."""

    sources: Mapping[str, Report]
    """Of each data set, with its own classes."""
    findings: tuple[Finding, ...]
    """About all of them together."""
    classes: tuple[ClassUse, ...]
    """The common classes; counts are by source, in train."""

    def count(self, severity: Severity) -> int:
        """The number of findings of a severity, of all sources and about all together."""
        parts = sum(report.count(severity) for report in self.sources.values())
        return parts + sum(finding.severity == severity for finding in self.findings)

    def as_tree(self) -> dict:
        """The report as plain values, for JSON."""
        return {
            "sources": {name: report.as_tree() for name, report in self.sources.items()},
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "findings": [vars(finding) | {"files": list(finding.files)} for finding in self.findings],
            "classes": [vars(use) | {"colour": list(use.colour)} for use in self.classes],
        }


@dataclass(frozen=True)
class Found:
    """An image of a source, and its facts."""

    source: str
    facts: Examined

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.source}/{self.facts.pair.name}"


def check_sources(
    sources: Mapping[str, SourceConfig],
    classes: ClassTable,
    paths: Mapping[str, Path],
    show: Callable[[int, int], None] | None = None,
) -> MixtureReport:
    """Look at every file of the data sets of a mixture, and at what they say about each other.

    Args:
        sources: what each data set is, by name.
        classes: the common classes.
        paths: the folder of each source.
        show: called with the numbers of pairs done and of all, source by source.

    Raises:
        DatasetError, RecipeError: the sources cannot be opened as one; `check_dataset` tells more of each.
    """
    train = open_mixture(sources, classes, paths, "train")
    scored = open_mixture(sources, classes, paths, "val")
    reports, found = dict[str, Report](), list[Found]()
    for name, source in sources.items():
        reports[name], facts = examined_report(source.kind, paths[name], show=show)
        held = {pair.image for pair in scored.pairs if pair.source == name}
        found += [Found(name, _resplit(pair, held)) for pair in facts]
    uses = _uses(train, found)
    findings = [*_untaught(uses, found, scored), *_twins(found, train)]
    return MixtureReport(reports, by_severity(findings), uses)


def _resplit(pair: Examined, held: set[Path]) -> Examined:
    """The facts under the split that the mixture has the image in: a source may hold images out of its train."""
    split = "val" if pair.pair.image in held else "train" if pair.split == "train" else pair.split
    return Examined(split, pair.pair, pair.image, pair.labels)


def _counts(dataset: LabelledImages, item: Found) -> Int64[np.ndarray, "s"]:
    """The pixels of each label of the mixture in an image."""
    assert isinstance(dataset.read, MixtureReader)
    lookup = dataset.read.sources[item.source].lookup
    labels = lookup[np.minimum(item.facts.labels.values, len(lookup) - 1)]
    return np.bincount(labels, item.facts.labels.counts, minlength=IGNORE + 1).astype(np.int64)


def _uses(train: LabelledImages, found: Sequence[Found]) -> tuple[ClassUse, ...]:
    """How often each common class occurs in each source, alone, in train."""
    names = list(dict.fromkeys(item.source for item in found))
    pixels = {name: np.zeros(IGNORE + 1, np.int64) for name in names}
    images = {name: np.zeros(IGNORE + 1, np.int64) for name in names}
    for item in (item for item in found if item.facts.split == "train"):
        counts = _counts(train, item)
        pixels[item.source] += counts
        images[item.source] += counts > 0
    return tuple(
        ClassUse(name, colour, *({each: int(n[label]) for each, n in table.items()} for table in (pixels, images)))
        for label, (name, colour) in enumerate(zip(train.classes.names, train.classes.colours, strict=True))
    )


def _untaught(uses: Sequence[ClassUse], found: Sequence[Found], scored: LabelledImages) -> list[Finding]:
    """Common classes that no source teaches, and those that none scores."""
    never = [use.name for use in uses if not any(use.pixels.values())]
    total = np.zeros(IGNORE + 1, np.int64)
    for item in (item for item in found if item.facts.split == "val"):
        total += _counts(scored, item)
    unscored = [use.name for label, use in enumerate(uses) if not total[label] and use.name not in never]
    return [
        *about(
            "error",
            "untaught",
            never,
            f"{{n}} of {len(uses)} common classes [is|are] taught by no source: no pixel stands for [it|them] alone",
            "let a class of a source stand for it in `sources`, or take it out of data.classes",
            root=HERE,
        ),
        *about(
            "note",
            "unscored",
            unscored,
            "{n} common [class occurs|classes occur] in train of some source but in val of none: no score",
            "hold images of it out: hold_out in `sources`",
            root=HERE,
        ),
    ]


def _twins(found: Sequence[Found], train: LabelledImages) -> list[Finding]:
    """Images of one source that are, or look like, one of another."""
    couples = [(one, other) for one, other in _alike(found) if one.source != other.source]
    crossing = [pair for pair in couples if {item.facts.split for item in pair} == {"train", "val"}]
    twice = [pair for pair in couples if {item.facts.split for item in pair} == {"train"}]
    contrary = [pair for pair in twice if _contradiction(*pair, train) > CONTRARY]
    return [
        *about(
            "error",
            "leak",
            [_named(pair) for pair in crossing],
            "{n} scored [image of one source looks|images of one source look] like one that another teaches, so scores "
            "flatter",
            "take them out of one of the sources",
            root=HERE,
        ),
        *about(
            "warning",
            "contradiction",
            [_named(pair) for pair in contrary],
            f"{{n}} [image is|images are] in two sources whose labels exclude each other at more than {CONTRARY:.0%} "
            "of the pixels",
            "look at both: cgrseg data show; correct what the classes of one source stand for",
            root=HERE,
        ),
        *about(
            "note",
            "twice",
            [_named(pair) for pair in twice if pair not in contrary],
            "{n} [image is|images are] in two sources and [counts|count] double",
            "nothing to do, or take them out of one",
            root=HERE,
        ),
    ]


def _named(pair: tuple[Found, Found]) -> str:
    return " ~ ".join(item.name for item in pair)


def _alike(found: Sequence[Found]) -> list[tuple[Found, Found]]:
    """Each image of a source with the most similar one of the others, where they look alike."""
    known = [item for item in found if item.facts.image.bits is not None]
    couples: dict[frozenset[str], tuple[Found, Found]] = {}
    for name in dict.fromkeys(item.source for item in known):
        own = [item for item in known if item.source == name]
        rest = [item for item in known if item.source != name]
        for place, twin in near_duplicates(_signs(own), _signs(rest)):
            couples.setdefault(frozenset({own[place].name, rest[twin].name}), (own[place], rest[twin]))
    return list(couples.values())


def _signs(items: Sequence[Found]) -> np.ndarray:
    return signs([item.facts.image.bits for item in items if item.facts.image.bits is not None])


def _contradiction(one: Found, other: Found, train: LabelledImages) -> float:
    """The share of the pixels labelled in both at which no class is allowed by both."""
    assert isinstance(train.read, MixtureReader)
    first, second = (train.read.sources[item.source].labels_of(item.facts.pair) for item in (one, other))
    second = resize_labels(second, first.shape)
    allowed = _allowed(train)
    both = (first != IGNORE) & (second != IGNORE)
    apart = ~(allowed[first[both]] & allowed[second[both]]).any(axis=-1)
    return float(apart.mean()) if apart.size else 0.0


def _allowed(dataset: LabelledImages) -> Bool[np.ndarray, "256 k"]:
    """For each label of the mixture which classes it allows."""
    k = len(dataset.classes)
    table = np.zeros((IGNORE + 1, k), bool)
    table[:k] = np.eye(k, dtype=bool)
    for place, labels in enumerate(dataset.sets):
        table[k + place, list(labels)] = True
    return table
