"""A recipe made from the data, for who has labelled images and no recipe.

labelled images -- facts: how many, how large, which classes, on which machine -- choices -- recipe, and why
                      no val? split by content            what was asked for with --set wins

A recipe for several data sets, made from them.

class names of each -- union, in order of first appearance ---------- data.classes
background of one, where others bring further classes --------------- rest
numbers of images -- their roots ------------------------------------ shares
no val -- split by content ------------------------------------------ hold_out
all together -- facts -- the choices that one data set has, too
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cgrseg.advisor.rules import RULES, Choice, Facts, Rule, choose_split
from cgrseg.config import HoldOut, Kind, ModelSize, Recipe
from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.data.datasets.folder import has_split
from cgrseg.data.doctor import require_sound
from cgrseg.data.images import read_size
from cgrseg.data.mixture import shared_classes, source_names
from cgrseg.data.split import Split, split_by_content
from cgrseg.errors import CheckpointError, DatasetError
from cgrseg.recipes import override, parse_recipe
from cgrseg.runtime import require_device
from cgrseg.training.precision import bf16_is_faster
from cgrseg.training.splits import open_splits
from cgrseg.weights import WeightsInfo, find_imagenet, open_weights


@dataclass(frozen=True)
class Plan:
    """A recipe, and why it is as it is."""

    recipe: Recipe
    facts: Facts
    choices: tuple[Choice, ...]
    """In the order in which they were made."""


def plan(
    kind: Kind,
    data: Path,
    *,
    init: str | Path | None = None,
    overrides: tuple[str, ...] = (),
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Choose every setting of a training run from the data.

    Args:
        kind: the layout of the files.
        data: the folder of the data set; one without `val` is split by content.
        init: weights to start from.
        overrides: settings that are given, such as `train.steps=500`.
        device: where the run will be.
        on_progress: called with the images done, and all of them, where they are split by content.

    Raises:
        RecipeError: an override is no setting.
        DatasetError: the data cannot be learnt from.
        CGRSegError: there is no such device.
    """
    require_device(device)
    tree = {"data": {"kind": kind}}
    for text in overrides:
        tree = override(tree, text)
    asked = parse_recipe(tree, "--set")
    info = open_weights(init)[1] if init is not None else None
    facts = look(asked, data, (str(init), info) if info else None, device, on_progress)
    return apply_rules(tree, facts, RULES)


def apply_rules(tree: dict, facts: Facts, rules: tuple[Rule, ...], made: tuple[Choice, ...] = ()) -> Plan:
    """The plan that the choices make of a tree of settings; what the tree has already stays; some are made before."""
    facts = facts if facts.start is not None else _with_imagenet(facts, tree)
    choices = list(made)
    for choose in rules:
        recipe = parse_recipe(tree, "plan")
        choice = choose(facts, recipe)
        given = frozenset(name for name in choice.settings if _is_given(tree, name))
        tree = _with(tree, {name: value for name, value in choice.settings.items() if name not in given})
        choices.append(choice.settled(parse_recipe(tree, "plan"), given))
    return Plan(parse_recipe(tree, "plan"), facts, tuple(choices))


def _with_imagenet(facts: Facts, tree: dict) -> Facts:
    """The facts with the network, and whether its ImageNet weights can be had; else it is T, unless one was set."""
    asked, is_free = parse_recipe(tree, "--set"), not _is_given(tree, "model.size")
    size = facts.size if is_free else asked.model.size
    lack = _why_no_imagenet(size, asked.start.backbone, is_given=_is_given(tree, "start.backbone"))
    return replace(facts, size="t" if lack and is_free else size, no_imagenet=lack)


def _why_no_imagenet(size: ModelSize, backbone: str | None, *, is_given: bool) -> str:
    """Why a network cannot start from ImageNet weights; empty where it can."""
    if is_given:
        return "" if backbone else "start.backbone is none, as you set"
    try:
        find_imagenet(size)
    except CheckpointError as error:
        return str(error)
    return ""


def _is_given(tree: dict, name: str) -> bool:
    section, key = name.split(".")
    return key in (tree.get(section) or {})


def _with(tree: dict, settings: dict[str, object]) -> dict:
    for name, value in settings.items():
        section, key = name.split(".")
        tree = tree | {section: (tree.get(section) or {}) | {key: value}}
    return tree


def look(
    asked: Recipe,
    data: Path,
    start: tuple[str, WeightsInfo] | None,
    device: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> Facts:
    """What the settings depend on."""
    kind, merge, hold_out = asked.data.kind, asked.data.merge, asked.data.hold_out
    whole = open_dataset(kind, data, "train", merge=merge)
    require_sound((whole,), data)
    has_val = kind != "folder" or has_split(data, "val")
    split = None if hold_out or has_val else split_dataset(whole, data, on_progress)
    hold_out = split.names if split else hold_out
    learnt, scored = (open_dataset(kind, data, each, hold_out, merge=merge) for each in _sides(hold_out))
    return replace(measure_facts(learnt, scored, start, device), split=split, hold_out=hold_out)


def measure_facts(
    learnt: LabelledImages, scored: LabelledImages, start: tuple[str, WeightsInfo] | None, device: str
) -> Facts:
    """What images and machine say."""
    sizes = np.array([read_size(pair.image) for pair in learnt.pairs])
    return Facts(
        learnt=len(learnt),
        scored=len(scored),
        split=None,
        hold_out="",
        leaked=len(set(start[1].trained_on) & set(scored.fingerprints())) if start else 0,
        sides=(int(np.median(sizes.min(axis=1))), int(np.median(sizes.max(axis=1)))),
        portrait=float((sizes[:, 0] > sizes[:, 1]).mean()),
        classes=learnt.classes.names,
        shares=tuple(learnt.class_shares().tolist()),
        start=start,
        is_cpu=device == "cpu",
        cores=os.cpu_count() or 1,
        bf16_is_faster=bf16_is_faster(device),
    )


def _sides(hold_out: HoldOut) -> tuple[str, str]:
    return "train", "holdout" if hold_out else "val"


def split_dataset(whole: LabelledImages, data: Path, on_progress: Callable[[int, int], None] | None) -> Split:
    """A split by content; `data` is the folder that an error names."""
    try:
        return split_by_content(whole, on_progress)
    except DatasetError as error:
        raise DatasetError(f"{data}: {error}") from None


Show = Callable[[int, int], None]


def plan_sources(
    given: Sequence[tuple[Kind, Path]],
    *,
    init: str | Path | None = None,
    overrides: tuple[str, ...] = (),
    device: str = "cpu",
    on_progress: Show | None = None,
) -> Plan:
    """Choose every setting of a training run on several data sets, which become the sources of the recipe.

    Args:
        given: the kind and the folder of each; `source_names` gives their names in the recipe.
        init: weights to start from.
        overrides: settings that are given, such as `train.steps=500`.
        device: where the run will be.
        on_progress: called with the images done, and all of them, where a data set is split by content.

    Raises:
        RecipeError: an override is no setting.
        DatasetError: the data cannot be learnt from.
        CGRSegError: there is no such device.
    """
    require_device(device)
    names = source_names(given)
    kinds, paths = (dict(zip(names, column, strict=True)) for column in zip(*given, strict=True))
    opened = {name: open_dataset(kinds[name], paths[name], "train") for name in names}
    held = {name: held_out_names(opened[name], paths[name], on_progress) for name in names}
    classes, meanings = shared_classes({name: dataset.classes.names for name, dataset in opened.items()})
    shares = shares_by_size({name: len(dataset) - len(held[name]) for name, dataset in opened.items()})
    sources = {name: {"kind": kinds[name], "share": shares[name], "classes": meanings[name]} for name in names}
    sources = {name: source | ({"hold_out": held[name]} if held[name] else {}) for name, source in sources.items()}
    tree = {"data": {"classes": list(classes)}, "sources": sources}
    for text in overrides:
        tree = override(tree, text)
    learnt, scored = open_splits(parse_recipe(tree, "--set"), paths)
    start = (str(init), open_weights(init)[1]) if init is not None else None
    facts = measure_facts(learnt, scored, start, device)
    made = (_split_choice(facts, held), _shares_choice(opened, shares), _classes_choice(classes, meanings))
    return apply_rules(tree, facts, tuple(choose for choose in RULES if choose is not choose_split), made)


def held_out_names(dataset: LabelledImages, path: Path, on_progress: Show | None = None) -> tuple[str, ...]:
    """The images of a folder without val that are kept for scoring; none of other data sets."""
    require_sound((dataset,), path)
    if dataset.kind != "folder" or has_split(path, "val"):
        return ()
    return split_dataset(dataset, path, on_progress).names


def shares_by_size(images: Mapping[str, int]) -> dict[str, float]:
    """Shares by the roots of the numbers of images."""
    total = sum(math.sqrt(number) for number in images.values())
    return {name: round(math.sqrt(number) / total, 3) for name, number in images.items()}


def _split_choice(facts: Facts, held: Mapping[str, tuple[str, ...]]) -> Choice:
    counts = f"{facts.learnt:,} images to learn from, {facts.scored:,} to score on"
    by_content = [name for name, names in held.items() if names]
    return Choice({}, f"{counts}{'; split by content: ' + ', '.join(by_content) if by_content else ''}")


def _shares_choice(opened: Mapping[str, LabelledImages], shares: Mapping[str, float]) -> Choice:
    parts = ", ".join(f"{name} {shares[name]:g} ({len(dataset):,} images)" for name, dataset in opened.items())
    return Choice({}, f"shares of what is drawn, by the roots of their sizes: {parts}")


def _classes_choice(classes: tuple[str, ...], meanings: Mapping[str, Mapping[str, str]]) -> Choice:
    rest = [f"{own} of {name}" for name, each in meanings.items() for own in each]
    told = f"; any that its other classes are not: {', '.join(rest)}" if rest else ""
    return Choice({}, f"{len(classes)} classes, those of equal names as one{told}")
