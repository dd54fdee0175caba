"""Several data sets as one: the classes of each become common classes, sets of common classes, or no label.

    data set of each source -- its class: one common class ------------- label 0..k-1 --+
                            -- its class: any of several (a set) ------- label k, ... --+-- LabelledImages
                            -- its class: ignore ----------------------- 255 -----------+

If a source draws 20 objects and calls the rest background, a background pixel is none of the 20, and nothing more is
known: `background: rest` expresses this.
"""

import difflib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np

from cgrseg.classes import ClassTable, named
from cgrseg.config import DataConfig, Kind, SourceConfig
from cgrseg.data.datasets import LabelledImages, Pair, open_dataset
from cgrseg.data.datasets.folder import has_split
from cgrseg.data.datasets.labelled import OUTSIDE, lookup_of
from cgrseg.data.datasets.merging import DROP
from cgrseg.data.datasets.table import BACKGROUNDS
from cgrseg.errors import DatasetError, RecipeError
from cgrseg.types import IGNORE, LabelMap

REST, ANY = "rest", "*"
"""Keywords in `classes` of a source: the common classes that none of its other classes stands for alone; any class."""
LEAST_SHARE = 0.001
"""Smallest share of a source in the drawn images."""

Labels = tuple[int, ...]
"""The common classes that a class of a source may be, in order; empty means no label."""

logger = logging.getLogger(__name__)


def open_mixture(
    sources: Mapping[str, SourceConfig], classes: ClassTable, paths: Mapping[str, Path], split: str
) -> LabelledImages:
    """Open one split of several data sets with common classes; images are named `source/name`.

    Args:
        sources: the settings of each data set, by name.
        classes: the common classes.
        paths: the folder of each source.
        split: `train`, `val` or another split; `val` is the held-out images of sources that hold some out.

    Raises:
        DatasetError: files are missing, or there are too many classes and sets of classes.
        RecipeError: the settings of a source name an unknown class or leave one out.
    """
    opened = open_sources(sources, paths, split)
    allowed = {
        name: allowed_classes(dataset.classes.names, sources[name], classes.names, name)
        for name, dataset in opened.items()
    }
    sets = tuple(dict.fromkeys(labels for by_class in allowed.values() for labels in by_class if len(labels) > 1))
    if len(classes) + len(sets) > OUTSIDE:
        raise DatasetError(
            f"{len(classes)} common classes and {len(sets)} different lists of them in `sources` are more "
            f"than {OUTSIDE} labels",
            advice="write fewer lists",
        )
    parts = {name: _translated(opened[name], classes, allowed[name], sets) for name in opened}
    pairs = [
        replace(pair, name=f"{name}/{pair.name}", source=name) for name, part in parts.items() for pair in part.pairs
    ]
    reader = MixtureReader({name: replace(part, pairs=()) for name, part in parts.items()})
    lookup = lookup_of(range(len(classes) + len(sets)))
    shares = _normalised({name: sources[name].share for name in parts})
    return LabelledImages("mixture", split, classes, tuple(pairs), lookup, reader, sets=sets, shares=shares)


@dataclass(frozen=True, eq=False)
class MixtureReader:
    """Reads each label file by its source, as labels of the mixture."""

    sources: Mapping[str, LabelledImages]

    def __call__(self, pair: Pair) -> LabelMap:
        return self.sources[pair.source].labels_of(replace(pair, name=pair.name.removeprefix(f"{pair.source}/")))


def open_sources(
    sources: Mapping[str, SourceConfig], paths: Mapping[str, Path], split: str
) -> dict[str, LabelledImages]:
    """Open a split of each source that has it, with the source's own classes.

    Raises:
        DatasetError: a path is missing or belongs to no source, or no source has the split.
    """
    _require_paths(sources, paths)
    opened = {}
    for name, source in sources.items():
        part = "holdout" if split == "val" and source.hold_out else split
        if part == "val" and source.kind == "folder" and not has_split(paths[name], part):
            logger.info("%s has no val, so it is not scored; hold_out keeps some of its images for that", name)
            continue
        opened[name] = open_dataset(source.kind, paths[name], part, source.hold_out).with_levels(source.levels)
    if not opened:
        raise DatasetError(
            f"no source has images to score on: {', '.join(sources)}",
            advice="give one images/val, or a hold_out in `sources`",
        )
    return opened


def common_classes(config: DataConfig) -> ClassTable:
    """The common classes of a recipe.

    Raises:
        RecipeError: there are none, one is listed twice or is a keyword, or a colour is missing.
    """
    names, colours = config.classes, config.colours
    if not names:
        raise RecipeError(
            "data.classes is empty", advice="list the common classes of the sources there, in order of label"
        )
    if len(names) == 1:
        raise RecipeError(
            f"data.classes names {names[0]} only, so every answer would be right", advice="name what else there is, too"
        )
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise RecipeError(f"data.classes lists {twice!r} twice", advice="each class has one label")
    taken = next((name for name in names if name in (REST, ANY, DROP, "")), None)
    if taken is not None:
        raise RecipeError(
            f"data.classes: {taken!r} has a meaning of its own in `sources`", advice="give the class another name"
        )
    if colours and len(colours) != len(names):
        raise RecipeError(
            f"data.colours has {len(colours)} colours for {len(names)} classes", advice="give one for each"
        )
    return ClassTable(names, colours) if colours else named(names)


def allowed_classes(
    own: tuple[str, ...], source: SourceConfig, common: tuple[str, ...], name: str
) -> tuple[Labels, ...]:
    """The common classes that each of a source's own classes may be; empty for no label.

    Raises:
        RecipeError: a name is unknown, a class is left out, or `rest` is empty.
    """
    where = f"sources: {name}: classes"
    for key in source.classes:
        if key != ANY and key not in own:
            raise RecipeError(f"{where}: the data set has no class {key!r}", advice=_nearest(key, own))
    entries = {own_class: _entries(own_class, source, common) for own_class in own}
    _require_entries(entries, common, where)
    alone = {wanted[0] for wanted in entries.values() if len(wanted) == 1}
    rest = tuple(common_class for common_class in common if common_class not in alone)
    if not rest and any(REST in wanted for wanted in entries.values()):
        raise RecipeError(f"{where}: {REST!r} is empty, since {name} has every common class", advice=f"write {DROP!r}")
    return tuple(_labels(wanted, rest, common) for wanted in entries.values())


def _require_entries(entries: Mapping[str, tuple[str, ...]], common: tuple[str, ...], where: str) -> None:
    missing = [own for own, wanted in entries.items() if not wanted]
    if missing:
        raise RecipeError(
            f"{where}: {', '.join(missing)} of the data set has no entry and is not in data.classes; list it, "
            f"or all others under '{ANY}'",
            advice=_nearest(missing[0], common),
        )
    for own, wanted in entries.items():
        unknown = next((entry for entry in wanted if entry not in (*common, REST, DROP)), None)
        if unknown is not None:
            raise RecipeError(f"{where}: {own}: data.classes has no {unknown!r}", advice=_nearest(unknown, common))
        if DROP in wanted and len(wanted) > 1:
            raise RecipeError(
                f"{where}: {own}: {DROP!r} stands alone", advice="a class is either unlabelled or one of a list"
            )


def _entries(own: str, source: SourceConfig, common: tuple[str, ...]) -> tuple[str, ...]:
    """The entry of a class, else its own name if it is a common class, else the entry of `*`."""
    fallback = own if own in common else source.classes.get(ANY, ())
    entry = source.classes.get(own, fallback)
    return (entry,) if isinstance(entry, str) else entry


def _labels(wanted: tuple[str, ...], rest: tuple[str, ...], common: tuple[str, ...]) -> Labels:
    """The labels of the listed classes; a class that may be any common class carries no label."""
    names = {name for entry in wanted for name in (rest if entry == REST else (entry,))}
    labels = tuple(label for label, name in enumerate(common) if name in names)
    return () if len(labels) == len(common) > 1 else labels


def _translated(
    dataset: LabelledImages, classes: ClassTable, allowed: tuple[Labels, ...], sets: tuple[Labels, ...]
) -> LabelledImages:
    """Give a source the labels of the mixture."""
    codes = [
        IGNORE if not labels else labels[0] if len(labels) == 1 else len(classes) + sets.index(labels)
        for labels in allowed
    ]
    own, table = dataset.lookup, np.array(codes, np.uint8)
    lookup = np.where(own < OUTSIDE, table[np.minimum(own, len(table) - 1)], own)
    return replace(dataset, classes=classes, lookup=lookup, expected=None)


def _normalised(shares: Mapping[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    for name, share in shares.items():
        if share <= 0 or share / total < LEAST_SHARE:
            raise RecipeError(
                f"sources: {name}: a share of {share:g} of {total:g} is under 1 image in {1 / LEAST_SHARE:,.0f}",
                advice="give it more, or take the source out",
            )
    return {name: share / total for name, share in shares.items()}


def require_sources(sources: Collection[str], names: Iterable[str]) -> None:
    """Check that all names are sources.

    Raises:
        DatasetError: one is not.
    """
    for name in names:
        if name not in sources:
            raise DatasetError(f"the recipe has no source {name!r}", advice=_nearest(name, sources))


def source_names(given: Sequence[tuple[str, Path]]) -> tuple[str, ...]:
    """Unique names for data sets given as (kind, path): the kind, or the folder's name for the kind `folder`."""
    names = list[str]()
    for kind, path in given:
        name = path.resolve().name if kind == "folder" else kind
        number = next(number for number in count(1) if (name if number == 1 else f"{name}-{number}") not in names)
        names.append(name if number == 1 else f"{name}-{number}")
    return tuple(names)


def planned_sources(given: Sequence[tuple[Kind, Path]]) -> tuple[dict[str, SourceConfig], tuple[str, ...]]:
    """The sources for data sets without a recipe, by name, and their common classes."""
    names = source_names(given)
    opened = {name: open_dataset(kind, path, "train") for name, (kind, path) in zip(names, given, strict=True)}
    levels = {name: dataset.own_levels() for name, dataset in opened.items()}
    classes, meanings = shared_classes({name: dataset.classes.names for name, dataset in opened.items()})
    sources = {
        name: SourceConfig(
            kind=kind, classes={own: (entry,) for own, entry in meanings[name].items()}, levels=levels[name]
        )
        for name, (kind, _) in zip(names, given, strict=True)
    }
    return sources, classes


def shared_classes(own: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], dict[str, dict[str, str]]]:
    """The common classes of sources, and by source the entries of classes that are not common classes.

    A background may contain what other sources have classes for, so it becomes `rest`.
    """
    meanings = {}
    for name, names in own.items():
        others = {other for classes in own.values() for other in classes if other not in BACKGROUNDS}.difference(names)
        meanings[name] = {own_class: REST for own_class in names if own_class in BACKGROUNDS and others}
    classes = dict.fromkeys(own_class for name in own for own_class in own[name] if own_class not in meanings[name])
    return tuple(classes), meanings


def _require_paths(sources: Mapping[str, SourceConfig], paths: Mapping[str, Path]) -> None:
    require_sources(sources, paths)
    missing = [name for name in sources if name not in paths]
    if missing:
        raise DatasetError(
            f"no path is given for {', '.join(missing)} of the recipe's sources", advice="give the folder of each"
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known)}"
