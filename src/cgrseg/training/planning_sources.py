"""A recipe for several data sets, made from them.

class names of each -- union, in order of first appearance ---------- data.classes
background of one, where others bring further classes --------------- rest
numbers of images -- their roots ------------------------------------ shares
no val -- split by content ------------------------------------------ hold_out
all together -- facts -- the choices that one data set has, too
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cgrseg.config import Kind
from cgrseg.data.check import require_sound
from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.data.datasets.folder import has_split
from cgrseg.data.mixture import shared_classes, source_names
from cgrseg.recipes import override, parse_recipe
from cgrseg.runtime import require_device
from cgrseg.training.choices import CHOICES, Choice, Facts, choose_split
from cgrseg.training.planning import Plan, facts_of, settled, split_up
from cgrseg.training.splits import open_splits
from cgrseg.weights import open_weights

Show = Callable[[int, int], None]


def plan_sources(
    given: Sequence[tuple[Kind, Path]],
    *,
    init: str | Path | None = None,
    overrides: tuple[str, ...] = (),
    device: str = "cpu",
    show: Show | None = None,
) -> Plan:
    """Choose every setting of a training run on several data sets, which become the sources of the recipe.

    Args:
        given: the kind and the folder of each; `source_names` gives their names in the recipe.
        init: weights to start from.
        overrides: settings that are given, such as `train.steps=500`.
        device: where the run will be.
        show: called with the pictures done, and all of them, where a data set is split by content.

    Raises:
        RecipeError: an override is no setting.
        DatasetError: the data cannot be learnt from.
        CGRSegError: there is no such device.
    """
    require_device(device)
    names = source_names(given)
    kinds, paths = (dict(zip(names, column, strict=True)) for column in zip(*given, strict=True))
    opened = {name: open_dataset(kinds[name], paths[name], "train") for name in names}
    held = {name: names_held_out(opened[name], paths[name], show) for name in names}
    classes, meanings = shared_classes({name: dataset.classes.names for name, dataset in opened.items()})
    shares = shares_by_size({name: len(dataset) - len(held[name]) for name, dataset in opened.items()})
    sources = {name: {"kind": kinds[name], "share": shares[name], "classes": meanings[name]} for name in names}
    sources = {name: source | ({"hold_out": held[name]} if held[name] else {}) for name, source in sources.items()}
    tree = {"data": {"classes": list(classes)}, "sources": sources}
    for text in overrides:
        tree = override(tree, text)
    learnt, scored = open_splits(parse_recipe(tree, "--set"), paths)
    start = (str(init), open_weights(init)[1]) if init is not None else None
    facts = facts_of(learnt, scored, start, device)
    made = (_told_split(facts, held), _told_shares(opened, shares), _told_classes(classes, meanings))
    return settled(tree, facts, tuple(choose for choose in CHOICES if choose is not choose_split), made)


def names_held_out(dataset: LabelledImages, path: Path, show: Show | None = None) -> tuple[str, ...]:
    """The images of a folder without val that are kept for scoring; none of other data sets."""
    require_sound((dataset,), path)
    if dataset.kind != "folder" or has_split(path, "val"):
        return ()
    return split_up(dataset, path, show).names


def shares_by_size(images: Mapping[str, int]) -> dict[str, float]:
    """Shares by the roots of the numbers of images."""
    total = sum(math.sqrt(number) for number in images.values())
    return {name: round(math.sqrt(number) / total, 3) for name, number in images.items()}


def _told_split(facts: Facts, held: Mapping[str, tuple[str, ...]]) -> Choice:
    counts = f"{facts.learnt:,} pictures to learn from, {facts.scored:,} to score on"
    by_content = [name for name, names in held.items() if names]
    return Choice({}, f"{counts}{'; split by content: ' + ', '.join(by_content) if by_content else ''}")


def _told_shares(opened: Mapping[str, LabelledImages], shares: Mapping[str, float]) -> Choice:
    parts = ", ".join(f"{name} {shares[name]:g} ({len(dataset):,} pictures)" for name, dataset in opened.items())
    return Choice({}, f"shares of what is drawn, by the roots of their sizes: {parts}")


def _told_classes(classes: tuple[str, ...], meanings: Mapping[str, Mapping[str, str]]) -> Choice:
    rest = [f"{own} of {name}" for name, each in meanings.items() for own in each]
    told = f"; any that its other classes are not: {', '.join(rest)}" if rest else ""
    return Choice({}, f"{len(classes)} classes, those of equal names as one{told}")
