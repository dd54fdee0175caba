"""Plain values to settings and back, with every key, type and range checked; no file format is read here.

mapping -> unknown keys refused -> preset -> types -> ranges -> frozen dataclass
"""

import dataclasses
import difflib
import math
import types
import typing
from typing import Annotated, Literal, TypeVar

from cgrseg.config import PRESETS, DataConfig, Levels, ModelConfig, Recipe, SourceConfig, Within, idle_settings
from cgrseg.errors import RecipeError

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance

Settings = TypeVar("Settings")
Checked = TypeVar("Checked", ModelConfig, Recipe)


def parse(kind: type[Settings], tree: object, where: str) -> Settings:
    """Convert a mapping of plain values to the dataclass `kind`; messages begin with `where`.

    Raises:
        RecipeError: a key is unknown, or a value has the wrong type or is out of range.
    """
    if not isinstance(tree, dict):
        raise RecipeError(f"{where}: a mapping is needed here, not {tree!r}")
    if kind is ModelConfig and "preset" in tree:
        tree = _with_preset(tree, where)
    hints = typing.get_type_hints(kind, include_extras=True)
    for key in tree:
        if key not in hints:
            close = difflib.get_close_matches(str(key), hints, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"the keys are {', '.join(hints)}"
            raise RecipeError(f"{where}: unknown key {key!r}", advice=advice)
    tree = {key: value for key, value in tree.items() if value not in ([], ()) or vars(kind).get(key) != ()}
    values: dict[str, typing.Any] = {key: convert(hints[key], value, f"{where}: {key}") for key, value in tree.items()}
    settings = kind(**values)
    if isinstance(settings, ModelConfig):
        _refuse_idle_settings(settings, where)
    if isinstance(settings, DataConfig | SourceConfig) and settings.levels is not None:
        require_levels(settings.levels, f"{where}: levels")
    return settings


def require_levels(levels: Levels, where: str) -> None:
    """Require a white that is above black.

    Raises:
        RecipeError: it is not, or one of them is not finite.
    """
    black, white = levels
    if not (black < white and math.isfinite(white - black)):
        raise RecipeError(
            f"{where}: {white:g} is not above {black:g}", advice="give black and white, such as [0, 4095] for 12 bits"
        )


def _refuse_idle_settings(model: ModelConfig, where: str) -> None:
    """Refuse settings that have no effect on a backbone without attention."""
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
    """Check settings made in Python as those of a recipe: choices, types and ranges.

    Raises:
        RecipeError: a value has the wrong type, is not one of the choices or is out of range.
    """
    return parse(type(settings), as_tree(settings), type(settings).__name__)


def _with_preset(tree: dict, where: str) -> dict:
    preset = tree["preset"]
    if preset not in PRESETS:
        raise RecipeError(f"{where}: preset: {preset!r} is not one of {', '.join(PRESETS)}")
    idle = idle_settings(tree.get("size"))
    chosen = {key: value for key, value in PRESETS[preset].items() if key not in idle}
    return chosen | {key: value for key, value in tree.items() if key != "preset"}


def convert(hint: object, value: object, where: str) -> object:  # noqa: PLR0911  one return for each kind of type
    """Convert a plain value to the type `hint`: lists become tuples, whole numbers floats where needed."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return parse(hint, value, where)
    if origin is Annotated:
        return _within(convert(arguments[0], value, where), arguments[1], where)
    if origin in (types.UnionType, typing.Union):
        kind = tuple if isinstance(value, list) else type(value)
        chosen = next((choice for choice in arguments if kind in (choice, typing.get_origin(choice))), arguments[0])
        return None if value is None and types.NoneType in arguments else convert(chosen, value, where)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return _convert_tuple(arguments, tuple(value), where)
    if origin is dict and isinstance(value, dict):
        name, content = arguments
        return {convert(name, key, where): convert(content, item, f"{where}: {key}") for key, item in value.items()}
    if hint is float and isinstance(value, str):
        value = _number(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and not arguments and type(value) is hint:
        return value
    raise RecipeError(f"{where}: {value!r} is not {_describe(hint)}")


def _within(value: object, limits: Within, where: str) -> object:
    if isinstance(value, int | float) and not limits.admits(value):
        raise RecipeError(f"{where}: {value!r} is out of range", advice=f"it is {limits}")
    return value


def _number(text: str) -> float | str:
    """Convert text to a number if possible: YAML reads 1e-3 as text."""
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
    return tuple(convert(hint, value, where) for hint, value in zip(arguments, values, strict=True))


def _describe(hint: object) -> str:
    name = getattr(hint, "__name__", str(hint))
    if typing.get_origin(hint) is Literal:
        return f"one of {', '.join(repr(choice) for choice in typing.get_args(hint))}"
    if typing.get_origin(hint) is tuple:
        return "a list"
    if typing.get_origin(hint) is dict:
        return "a mapping"
    return {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}.get(name, name)


def as_tree(settings: "DataclassInstance") -> dict:
    """Convert a dataclass to plain values that `parse` and YAML can read (tuples become lists)."""
    return {entry.name: _plain(getattr(settings, entry.name)) for entry in dataclasses.fields(settings)}


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_tree(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
