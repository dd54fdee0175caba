"""Recipes: YAML files of settings, read with an error for everything that is not a setting.

YAML -- overrides (--set) -- preset -- types and ranges -- frozen dataclasses
"""

import dataclasses
import difflib
import math
import shlex
import types
import typing
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml

from cgrseg.config import PRESETS, Merge, ModelConfig, Recipe, Within, idle_settings
from cgrseg.errors import RecipeError, reason

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings")
Checked = TypeVar("Checked", ModelConfig, Recipe)


def read_recipe(path: Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """The recipe in a YAML file, with overrides like `train.steps=1000` on top.

    Raises:
        RecipeError: the file is missing or not YAML, or a key or value is not one of the fields above.
    """
    return parse_recipe(_read_yaml(path, "recipe; those that ship are in the folder recipes/"), path.name, overrides)


def read_merge(path: Path) -> Merge:
    """The classes to merge in a YAML file: each new name with a list of old ones, and those to `ignore`.

    Raises:
        RecipeError: the file is missing, not YAML or not such a mapping.
    """
    merge = _convert(Merge, _read_yaml(path, "file of classes to merge"), path.name)
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
        raise RecipeError(f"{name}: a recipe is a mapping with the keys {', '.join(_names(Recipe))}")
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


def parse(kind: type[Settings], tree: object, where: str) -> Settings:
    """An instance of the dataclass `kind` from a tree of plain values; unknown keys and wrong types are errors."""
    if not isinstance(tree, dict):
        raise RecipeError(f"{where}: a mapping is needed here, not {tree!r}")
    if kind is ModelConfig and "preset" in tree:
        tree = _with_preset(tree, where)
    hints = typing.get_type_hints(kind, include_extras=True)
    for key in tree:
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(hints)}"
            raise RecipeError(
                f"{where}: unknown key {key!r}",
                advice=f"{advice}",
            )
    tree = {key: value for key, value in tree.items() if value not in ([], ()) or vars(kind).get(key) != ()}
    values: dict[str, typing.Any] = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in tree.items()}
    settings = kind(**values)
    if isinstance(settings, ModelConfig):
        _refuse_attention(settings, where)
    return settings


def _refuse_attention(model: ModelConfig, where: str) -> None:
    """Refuse settings that say nothing to a backbone without attention."""
    idle = idle_settings(model.size)
    for entry in dataclasses.fields(model):
        value = getattr(model, entry.name)
        if entry.name in idle and value != entry.default:
            raise RecipeError(
                f"{where}: {entry.name}: {value!r} says nothing to size {model.size}, which has neither "
                "attention nor LayerScale",
                advice="leave it out",
            )


def checked(settings: Checked) -> Checked:
    """Settings made in Python, with the checks of a recipe: choices, types and ranges."""
    return parse(type(settings), as_tree(settings), type(settings).__name__)


def _with_preset(tree: dict, where: str) -> dict:
    preset = tree["preset"]
    if preset not in PRESETS:
        raise RecipeError(f"{where}: preset: {preset!r} is not one of {', '.join(PRESETS)}")
    idle = idle_settings(tree.get("size"))
    chosen = {key: value for key, value in PRESETS[preset].items() if key not in idle}
    return chosen | {key: value for key, value in tree.items() if key != "preset"}


def _convert(hint: object, value: object, where: str) -> object:  # noqa: PLR0911  one return a kind of type
    """`value` as the type `hint` says, lists becoming tuples and whole numbers floats."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return parse(hint, value, where)
    if origin is Annotated:
        return _within(_convert(arguments[0], value, where), arguments[1], where)
    if origin in (types.UnionType, typing.Union):
        kind = tuple if isinstance(value, list) else type(value)
        chosen = next((choice for choice in arguments if kind in (choice, typing.get_origin(choice))), arguments[0])
        return None if value is None and types.NoneType in arguments else _convert(chosen, value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_tuple(arguments, tuple(value), where)
    if origin is dict and isinstance(value, dict):
        name, content = arguments
        return {_convert(name, key, where): _convert(content, item, f"{where}: {key}") for key, item in value.items()}
    if hint is float and isinstance(value, str):
        value = _number(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not arguments and type(value) is hint:
        return value
    raise RecipeError(f"{where}: {value!r} is not {_describe(hint)}")


def _within(value: object, limits: Within, where: str) -> object:
    if isinstance(value, int | float) and not limits.admits(value):
        raise RecipeError(
            f"{where}: {value!r} is out of range",
            advice=f"it is {limits}",
        )
    return value


def _number(text: str) -> float | str:
    """YAML reads 1e-3 as text; the number if it is one."""
    try:
        return float(text)
    except ValueError:
        return text


def _convert_tuple(arguments: tuple, values: tuple, where: str) -> tuple:
    if arguments[-1] is Ellipsis:
        arguments = (arguments[0],) * len(values)
    if len(arguments) != len(values) or not values:
        raise RecipeError(
            f"{where}: {list(values)} has {len(values)} entries where {len(arguments) or 'some'} are needed"
        )
    return tuple(_convert(hint, value, where) for hint, value in zip(arguments, values, strict=True))


def _describe(hint: object) -> str:
    name = getattr(hint, "__name__", str(hint))
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(repr(choice) for choice in typing.get_args(hint))}"
    if typing.get_origin(hint) is tuple:
        return "a list"
    if typing.get_origin(hint) is dict:
        return "a mapping"
    return {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}.get(name, name)


def _names(kind: type) -> list[str]:
    return [entry.name for entry in dataclasses.fields(kind)]


def as_tree(settings: "DataclassInstance") -> dict:
    """A dataclass as plain values that `parse` and YAML read back (tuples become lists)."""
    return {entry.name: _plain(getattr(settings, entry.name)) for entry in dataclasses.fields(settings)}


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_tree(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
