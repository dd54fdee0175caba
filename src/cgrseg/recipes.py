"""Recipes: training settings in YAML files.

YAML -- overrides such as train.steps=1000 -- `config.parsing`: keys, types and ranges -- `Recipe`
"""

import dataclasses
import math
import shlex
from pathlib import Path

import yaml

from cgrseg.config import Merge, Recipe
from cgrseg.config.parsing import convert, parse
from cgrseg.errors import RecipeError, reason


def read_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in a YAML file, with overrides like `train.steps=1000` on top.

    Raises:
        RecipeError: the file is missing or not YAML, or it holds an unknown key or a value out of range.
    """
    return parse_recipe(_read_yaml(path, "recipe; those that ship are in the folder recipes/"), path.name, overrides)


def read_merge(path: Path) -> Merge:
    """The classes to merge in a YAML file: each new name with a list of old ones, and those to `ignore`.

    Raises:
        RecipeError: the file is missing, not YAML or not such a mapping.
    """
    merge = convert(Merge, _read_yaml(path, "file of classes to merge"), path.name)
    assert isinstance(merge, dict)
    return merge


def _read_yaml(path: Path, what: str) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such {what}") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise RecipeError(f"{path.name}: not a YAML file: {reason(error)}") from None


def parse_recipe(tree: object, name: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in a tree of plain values; `name` is what errors call it."""
    if not isinstance(tree, dict):
        keys = ", ".join(entry.name for entry in dataclasses.fields(Recipe))
        raise RecipeError(f"{name}: a recipe is a mapping with the keys {keys}")
    for text in overrides:
        tree = override(tree, text)
    return parse(Recipe, tree, name)


def override(tree: dict, text: str) -> dict:
    """The tree with the setting that a text like `train.steps=1000` gives; it may be any key and value so far."""
    keys, equals, value = text.partition("=")
    path = keys.split(".")
    if not equals or len(path) != 2:
        raise RecipeError(
            f"{text!r} sets nothing", advice="write section.key=value, for example train.steps=1000", setting="set"
        )
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"{text}: not a YAML value: {reason(error)}", setting="set") from None
    return tree | {path[0]: (tree.get(path[0]) or {}) | {path[1]: parsed}}


def as_option(name: str, value: str) -> str:
    """The option that gives a setting a text, as it is typed into a shell; YAML takes `12_` for a number."""
    quoted = yaml.safe_dump(value, width=math.inf).splitlines()[0]
    return f"--set {shlex.quote(f'{name}={quoted}')}"
