"""Checks of several data sets that are learnt as one: each on its own first, then all together.

    sources -- check each, keep its facts --+-- reports, by source
                                            +-- common classes without a source ---- untaught, unscored
                                            +-- near-duplicates in two sources ----- leak, twice
                                                with labels that exclude each other  contradiction

Axes: k common classes, s labels of the mixture (classes, sets of classes, 255).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
"""Largest share, among pixels labelled in both sources, of labels that exclude each other without a warning."""
HERE = Path()
"""Findings about several data sets have no folder; their names are shown as they are."""


@dataclass(frozen=True)
class MixtureReport:
    """The result of checking several data sets."""

    sources: Mapping[str, Report]
    """The report of each data set, with its own classes."""
    findings: tuple[Finding, ...]
    """Findings about all of them together."""
    classes: tuple[ClassUse, ...]
    """The common classes; counts are by source, in train."""

    def count(self, severity: Severity) -> int:
        """The number of findings of a severity, those of each source included."""
        parts = sum(report.count(severity) for report in self.sources.values())
        return parts + sum(finding.severity == severity for finding in self.findings)

    def as_tree(self) -> dict:
        """The report as plain values, for JSON."""
        return {
            "sources": {name: report.as_tree() for name, report in self.sources.items()},
            **{f"{severity}s": self.count(severity) for severity in SEVERITIES},
            "findings": [vars(finding) | {"files": list(finding.files)} for finding in self.findings],
            "classes": [use.as_tree() for use in self.classes],
        }


@dataclass(frozen=True)
class SourceFacts:
    """The facts about an image and the source that it comes from."""

    source: str
    facts: Examined

    @property
    def name(self) -> str:
        """The name of the image in a mixture."""
        return f"{self.source}/{self.facts.pair.name}"


def check_sources(
    sources: Mapping[str, SourceConfig],
    classes: ClassTable,
    paths: Mapping[str, Path],
    show: Callable[[int, int], None] | None = None,
) -> MixtureReport:
    """Check every file of the data sets of a mixture, and how they fit together.

    Args:
        sources: the settings of each data set, by name.
        classes: the common classes.
        paths: the folder of each source.
        show: called with the number of pairs done and of all, source by source.

    Raises:
        DatasetError, RecipeError: the sources cannot be opened as one; `check_dataset` gives the details of each.
    """
    train = open_mixture(sources, classes, paths, "train")
    scored = open_mixture(sources, classes, paths, "val")
    reports, items = dict[str, Report](), list[SourceFacts]()
    for name, source in sources.items():
        reports[name], facts = examined_report(source.kind, paths[name], show=show, is_source=True)
        held = {pair.image for pair in scored.pairs if pair.source == name}
        items += [SourceFacts(name, _resplit(pair, held)) for pair in facts]
    uses = _uses(train, items)
    findings = [*_untaught(uses, items, scored), *_duplicates(items, train)]
    return MixtureReport(reports, by_severity(findings), uses)


def _resplit(pair: Examined, held: set[Path]) -> Examined:
    """The facts with the split that the image has in the mixture: a source may hold images out of its train."""
    split = "val" if pair.pair.image in held else "train" if pair.split == "train" else pair.split
    return replace(pair, split=split)


def _counts(dataset: LabelledImages, item: SourceFacts) -> Int64[np.ndarray, "s"]:
    """The number of pixels of each label of the mixture in an image."""
    assert isinstance(dataset.read, MixtureReader)
    lookup = dataset.read.sources[item.source].lookup
    labels = lookup[np.minimum(item.facts.labels.values, len(lookup) - 1)]
    return np.bincount(labels, item.facts.labels.counts, minlength=IGNORE + 1).astype(np.int64)


def _uses(train: LabelledImages, items: Sequence[SourceFacts]) -> tuple[ClassUse, ...]:
    """How often each common class occurs, as the only one allowed, in the training images of each source."""
    names = list(dict.fromkeys(item.source for item in items))
    pixels = {name: np.zeros(IGNORE + 1, np.int64) for name in names}
    images = {name: np.zeros(IGNORE + 1, np.int64) for name in names}
    for item in (item for item in items if item.facts.split == "train"):
        counts = _counts(train, item)
        pixels[item.source] += counts
        images[item.source] += counts > 0
    return tuple(
        ClassUse(
            name,
            colour,
            *({source: int(counts[label]) for source, counts in table.items()} for table in (pixels, images)),
        )
        for label, (name, colour) in enumerate(zip(train.classes.names, train.classes.colours, strict=True))
    )


def _untaught(uses: Sequence[ClassUse], items: Sequence[SourceFacts], scored: LabelledImages) -> list[Finding]:
    """Findings about common classes that no source teaches, or that none scores."""
    never = [use.name for use in uses if not any(use.pixels.values())]
    total = np.zeros(IGNORE + 1, np.int64)
    for item in (item for item in items if item.facts.split == "val"):
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


def _duplicates(items: Sequence[SourceFacts], train: LabelledImages) -> list[Finding]:
    """Findings about images of one source that are equal or similar to one of another."""
    pairs = [(one, other) for one, other in _similar_pairs(items) if one.source != other.source]
    crossing = [pair for pair in pairs if {item.facts.split for item in pair} == {"train", "val"}]
    twice = [pair for pair in pairs if {item.facts.split for item in pair} == {"train"}]
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


def _named(pair: tuple[SourceFacts, SourceFacts]) -> str:
    return " ~ ".join(item.name for item in pair)


def _similar_pairs(items: Sequence[SourceFacts]) -> list[tuple[SourceFacts, SourceFacts]]:
    """Each image of a source with the most similar image of the other sources, if it is a near-duplicate."""
    known = [item for item in items if item.facts.image.bits is not None]
    pairs: dict[frozenset[str], tuple[SourceFacts, SourceFacts]] = {}
    for name in dict.fromkeys(item.source for item in known):
        own = [item for item in known if item.source == name]
        rest = [item for item in known if item.source != name]
        for index, match in near_duplicates(_signs(own), _signs(rest)):
            pairs.setdefault(frozenset({own[index].name, rest[match].name}), (own[index], rest[match]))
    return list(pairs.values())


def _signs(items: Sequence[SourceFacts]) -> np.ndarray:
    return signs([item.facts.image.bits for item in items if item.facts.image.bits is not None])


def _contradiction(one: SourceFacts, other: SourceFacts, train: LabelledImages) -> float:
    """The share of pixels, 0..1 of those labelled in both, whose two labels allow no common class."""
    assert isinstance(train.read, MixtureReader)
    first, second = (train.read.sources[item.source].labels_of(item.facts.pair) for item in (one, other))
    second = resize_labels(second, first.shape)
    allowed = _allowed(train)
    both = (first != IGNORE) & (second != IGNORE)
    apart = ~(allowed[first[both]] & allowed[second[both]]).any(axis=-1)
    return float(apart.mean()) if apart.size else 0.0


def _allowed(dataset: LabelledImages) -> Bool[np.ndarray, "256 k"]:
    """Whether each label of the mixture allows each class."""
    k = len(dataset.classes)
    table = np.zeros((IGNORE + 1, k), bool)
    table[:k] = np.eye(k, dtype=bool)
    for index, labels in enumerate(dataset.sets):
        table[k + index, list(labels)] = True
    return table
