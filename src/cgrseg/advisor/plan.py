"""Plan a training run: a recipe made from labelled images, with the reason for every setting.

    images -- facts: number, sizes, classes, start, machine -- rules -- Plan: recipe, and the choices behind it
              split by content without a val                  settings from `overrides` take precedence

For several data sets the sources of the recipe are made first:

    class names of all ----------- union in order of first appearance -- data.classes
    background of one ------------ other data sets have more classes --- rest
    numbers of images ------------ square roots ------------------------ shares
    no val ----------------------- split by content -------------------- hold_out
    all images together ---------- facts -- rules, as for one data set
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cgrseg.advisor.rules import RULES, Choice, Facts, Rule, choose_levels, choose_split
from cgrseg.config import HoldOut, Kind, Levels, ModelSize, Recipe
from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.data.datasets.folder import has_split
from cgrseg.data.doctor import require_sound
from cgrseg.data.images import read_size
from cgrseg.data.mixture import shared_classes, source_names
from cgrseg.data.split import Split, split_by_content
from cgrseg.data.tones import fit_levels
from cgrseg.errors import CheckpointError, DatasetError
from cgrseg.recipes import override, parse_recipe
from cgrseg.runtime import require_device
from cgrseg.training.precision import bf16_is_faster
from cgrseg.training.splits import open_splits
from cgrseg.weights import WeightsInfo, find_imagenet, open_weights


@dataclass(frozen=True)
class Plan:
    """A recipe and the reasons for its settings."""

    recipe: Recipe
    facts: Facts
    choices: tuple[Choice, ...]
    """In the order of the rules."""


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
        kind: layout of the files.
        data: folder of the data set; split by content if it has no `val`.
        init: weights to start from.
        overrides: settings that take precedence, such as `train.steps=500`.
        device: device of the run.
        on_progress: called with the number of images done and of all images while they are split by content.

    Raises:
        RecipeError: an override is not a valid setting.
        DatasetError: the data cannot be used for training.
        CGRSegError: the device is not available.
    """
    require_device(device)
    tree = {"data": {"kind": kind}}
    for text in overrides:
        tree = override(tree, text)
    requested = parse_recipe(tree, "overrides")
    info = open_weights(init)[1] if init is not None else None
    facts = gather_facts(requested, data, (str(init), info) if info else None, device, on_progress)
    return apply_rules(tree, facts, RULES)


def apply_rules(tree: dict, facts: Facts, rules: tuple[Rule, ...], first: tuple[Choice, ...] = ()) -> Plan:
    """Complete a tree of settings by rules; settings that the tree already has are kept.

    Args:
        tree: settings by section and name.
        facts: about the data.
        rules: in order.
        first: choices made before, to put first in the plan.
    """
    facts = facts if facts.start is not None else _with_imagenet(facts, tree)
    choices = list(first)
    for rule in rules:
        recipe = parse_recipe(tree, "plan")
        choice = rule(facts, recipe)
        given = frozenset(name for name in choice.settings if _is_given(tree, name))
        tree = _with(tree, {name: value for name, value in choice.settings.items() if name not in given})
        choices.append(choice.with_final_values(parse_recipe(tree, "plan"), given))
    return Plan(parse_recipe(tree, "plan"), facts, tuple(choices))


def _with_imagenet(facts: Facts, tree: dict) -> Facts:
    """Add the size of the network and why it has no ImageNet weights, if so; then the size is T unless it was set."""
    requested, is_free = parse_recipe(tree, "overrides"), not _is_given(tree, "model.size")
    size = facts.size if is_free else requested.model.size
    problem = _why_no_imagenet(size, requested.start.backbone, is_given=_is_given(tree, "start.backbone"))
    return replace(facts, size="t" if problem and is_free else size, no_imagenet=problem)


def _why_no_imagenet(size: ModelSize, backbone: str | None, *, is_given: bool) -> str:
    """Why a network cannot start from ImageNet weights; empty if it can."""
    if is_given:
        return "" if backbone else "you set start.backbone to none"
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


def gather_facts(
    requested: Recipe,
    data: Path,
    start: tuple[str, WeightsInfo] | None,
    device: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> Facts:
    """The facts about a data set; one without `val` or held-out images is split by content."""
    kind, merge, hold_out = requested.data.kind, requested.data.merge, requested.data.hold_out
    whole = open_dataset(kind, data, "train", merge=merge)
    require_sound((whole,), data)
    tones = whole.tone_ranges()
    levels = requested.data.levels or (fit_levels(tones) if tones else None)
    whole = whole.with_levels(levels)
    has_val = kind != "folder" or has_split(data, "val")
    split = None if hold_out or has_val else split_dataset(whole, data, on_progress)
    hold_out = split.names if split else hold_out
    learnt, scored = (
        open_dataset(kind, data, name, hold_out, merge=merge).with_levels(levels) for name in _splits(hold_out)
    )
    return replace(measure_facts(learnt, scored, start, device), split=split, hold_out=hold_out, tones=tones)


def measure_facts(
    learnt: LabelledImages, scored: LabelledImages, start: tuple[str, WeightsInfo] | None, device: str
) -> Facts:
    """The facts about training and held-out images, the start and the machine, apart from the split."""
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


def _splits(hold_out: HoldOut) -> tuple[str, str]:
    return "train", "holdout" if hold_out else "val"


def split_dataset(whole: LabelledImages, data: Path, on_progress: Callable[[int, int], None] | None) -> Split:
    """Split a data set by content; an error names its folder, `data`."""
    try:
        return split_by_content(whole, on_progress)
    except DatasetError as error:
        raise DatasetError(f"{data}: {error}") from None


def plan_sources(
    given: Sequence[tuple[Kind, Path]],
    *,
    init: str | Path | None = None,
    overrides: tuple[str, ...] = (),
    device: str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Choose every setting of a training run on several data sets, the sources of the recipe.

    Args:
        given: kind and folder of each data set; `source_names` gives their names in the recipe.
        init: weights to start from.
        overrides: settings that take precedence, such as `train.steps=500`.
        device: device of the run.
        on_progress: called with the number of images done and of all images while a data set is split by content.

    Raises:
        RecipeError: an override is not a valid setting.
        DatasetError: the data cannot be used for training.
        CGRSegError: the device is not available.
    """
    require_device(device)
    names = source_names(given)
    kinds, paths = (dict(zip(names, column, strict=True)) for column in zip(*given, strict=True))
    opened = {name: open_dataset(kinds[name], paths[name], "train") for name in names}
    levels = {name: dataset.own_levels() for name, dataset in opened.items()}
    opened = {name: dataset.with_levels(levels[name]) for name, dataset in opened.items()}
    held = {name: held_out_names(opened[name], paths[name], on_progress) for name in names}
    classes, meanings = shared_classes({name: dataset.classes.names for name, dataset in opened.items()})
    shares = shares_by_size({name: len(dataset) - len(held[name]) for name, dataset in opened.items()})
    sources = {name: {"kind": kinds[name], "share": shares[name], "classes": meanings[name]} for name in names}
    sources = {name: source | ({"hold_out": held[name]} if held[name] else {}) for name, source in sources.items()}
    sources = {name: source | ({"levels": levels[name]} if levels[name] else {}) for name, source in sources.items()}
    tree = {"data": {"classes": list(classes)}, "sources": sources}
    for text in overrides:
        tree = override(tree, text)
    learnt, scored = open_splits(parse_recipe(tree, "overrides"), paths)
    start = (str(init), open_weights(init)[1]) if init is not None else None
    facts = measure_facts(learnt, scored, start, device)
    first = (
        _split_choice(facts, held),
        _levels_choice(levels),
        _shares_choice(opened, shares),
        _classes_choice(classes, meanings),
    )
    return apply_rules(tree, facts, tuple(rule for rule in RULES if rule not in (choose_split, choose_levels)), first)


def held_out_names(
    dataset: LabelledImages, path: Path, on_progress: Callable[[int, int], None] | None = None
) -> tuple[str, ...]:
    """Names of the images to hold out of a folder without val; none for other data sets."""
    require_sound((dataset,), path, is_source=True)
    if dataset.kind != "folder" or has_split(path, "val"):
        return ()
    return split_dataset(dataset, path, on_progress).names


def shares_by_size(images: Mapping[str, int]) -> dict[str, float]:
    """Shares of the sources, proportional to the square roots of their numbers of images; they sum to 1."""
    total = sum(math.sqrt(number) for number in images.values())
    return {name: round(math.sqrt(number) / total, 3) for name, number in images.items()}


def _split_choice(facts: Facts, held: Mapping[str, tuple[str, ...]]) -> Choice:
    counts = f"{facts.learnt:,} images to train on, {facts.scored:,} to evaluate on"
    by_content = [name for name, names in held.items() if names]
    return Choice({}, f"{counts}{'; split by content: ' + ', '.join(by_content) if by_content else ''}")


def _levels_choice(levels: Mapping[str, Levels | None]) -> Choice:
    given = [f"{name} {pair[0]:g} to {pair[1]:g}" for name, pair in levels.items() if pair]
    return Choice({}, f"black and white: {', '.join(given) or 'images have 8 bits a channel'}")


def _shares_choice(opened: Mapping[str, LabelledImages], shares: Mapping[str, float]) -> Choice:
    parts = ", ".join(f"{name} {shares[name]:g} ({len(dataset):,} images)" for name, dataset in opened.items())
    return Choice({}, f"shares of the samples, by the square roots of the sizes: {parts}")


def _classes_choice(classes: tuple[str, ...], meanings: Mapping[str, Mapping[str, str]]) -> Choice:
    rest = [f"{own} of {name}" for name, renamed in meanings.items() for own in renamed]
    remark = f"; any class that its data set does not label: {', '.join(rest)}" if rest else ""
    return Choice({}, f"{len(classes)} classes, equal names are the same class{remark}")
