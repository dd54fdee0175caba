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
from cgrseg.files import read_text


def read_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe from a YAML file and apply overrides such as `train.steps=1000`.

    Raises:
        RecipeError: the file is missing or not YAML, or it holds an unknown key or a value out of range.
    """
    return parse_recipe(_read_yaml(path, "recipe; those that ship are in the folder recipes/"), path.name, overrides)


def read_merge(path: Path) -> Merge:
    """Read the classes to merge from a YAML file: each new name with a list of old ones, and those to `ignore`.

    Raises:
        RecipeError: the file is missing, is not YAML or has another structure.
    """
    merge = convert(Merge, _read_yaml(path, "file of classes to merge"), path.name)
    assert isinstance(merge, dict)
    return merge


def _read_yaml(path: Path, what: str) -> object:
    try:
        return yaml.safe_load(read_text(path, RecipeError)) or {}
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such {what}") from None
    except (yaml.YAMLError, IsADirectoryError) as error:
        raise RecipeError(f"{path.name}: not a YAML file: {reason(error)}") from None


def parse_recipe(tree: object, name: str, overrides: tuple[str, ...] = ()) -> Recipe:
    """Convert a tree of plain values to a recipe, with overrides applied; messages begin with `name`."""
    if not isinstance(tree, dict):
        keys = ", ".join(entry.name for entry in dataclasses.fields(Recipe))
        raise RecipeError(f"{name}: a recipe is a mapping with the keys {keys}")
    for text in overrides:
        tree = override(tree, text)
    return parse(Recipe, tree, name)


def override(tree: dict, text: str) -> dict:
    """Apply an override such as `train.steps=1000` to a tree of plain values; key and value are not checked."""
    keys, equals, value = text.partition("=")
    path = keys.split(".")
    if not equals or len(path) != 2:
        raise RecipeError(
            f"{text!r} is not an override",
            advice="write section.key=value, for example train.steps=1000",
            setting="set",
        )
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RecipeError(f"{text}: not a YAML value: {reason(error)}", setting="set") from None
    return tree | {path[0]: (tree.get(path[0]) or {}) | {path[1]: parsed}}


def as_override(name: str, value: str) -> str:
    """The override that sets a setting to a text, quoted for YAML, which reads `12_` as a number, and for a shell."""
    quoted = yaml.safe_dump(value, width=math.inf).splitlines()[0]
    return shlex.quote(f"{name}={quoted}")
