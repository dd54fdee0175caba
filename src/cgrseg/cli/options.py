"""Options that several commands share, and how the text of one becomes a value."""

import difflib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from cgrseg.config import EngineName, Kind, Levels, Merge, ProtocolName
from cgrseg.files import write_json
from cgrseg.recipes import read_merge

if TYPE_CHECKING:
    from cgrseg.classes import ClassTable
    from cgrseg.config import SourceConfig

HINT = "'-d' / '--data'"
"""How an error calls the option."""
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}


@dataclass(frozen=True)
class DataPath:
    """`camvid=path/to/CamVid`: the layout of a data set, and where it is; with --merge, its new classes."""

    kind: Kind
    path: Path
    merge: Merge = field(default_factory=dict)

    def overrides(self) -> tuple[str, ...]:
        """The same as settings of a recipe."""
        merge = (f"data.merge={json.dumps(self.merge)}",) if self.merge else ()
        return (f"data.kind={self.kind}", *merge)


@dataclass(frozen=True)
class DataPaths:
    """The values of a repeatable --data: folders by kind, or by source of the recipe."""

    given: tuple[tuple[str, Path], ...]
    merge: Merge = field(default_factory=dict)

    @property
    def label(self) -> str:
        """A name for a run on them."""
        return "-".join(path.resolve().name for _, path in self.given)

    @property
    def kind(self) -> Kind:
        """Of the one data set."""
        return self.single().kind

    def single(self) -> DataPath:
        """The one data set.

        Raises:
            UsageError: there are several, or it is of no known kind.
        """
        (name, path), *more = self.given
        if more:
            raise click.UsageError("--data is there several times, but there are no sources; give one data set")
        return DataPath(kind_of(name), path, self.merge)

    def kinds(self) -> tuple[tuple[Kind, Path], ...]:
        """Each data set by its kind.

        Raises:
            UsageError: one is of no known kind, or --merge is there.
        """
        self._refuse_merge()
        return tuple((kind_of(name), path) for name, path in self.given)

    def by_source(self, sources: Mapping[str, object]) -> dict[str, Path]:
        """The folders by source; one that is given by its kind is the source that a plan would name so.

        Raises:
            UsageError: a source is there twice, or --merge is there.
        """
        from cgrseg.data.mixture import source_names

        self._refuse_merge()
        planned = source_names(self.given)
        names = [name if name in sources else other for (name, _), other in zip(self.given, planned, strict=True)]
        twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
        if twice is not None:
            raise click.UsageError(f"--data gives {twice!r} twice; each source has one folder")
        return {name: path for name, (_, path) in zip(names, self.given, strict=True)}

    def __str__(self) -> str:
        return " ".join(f"--data {shlex.quote(f'{name}={path}')}" for name, path in self.given)

    def _refuse_merge(self) -> None:
        if self.merge:
            raise click.UsageError("--merge is for one data set; sources say themselves what their classes are")


def mixture_of(
    data: DataPaths, recipe: Path | None
) -> "tuple[Mapping[str, SourceConfig], ClassTable, dict[str, Path]] | None":
    """Sources, common classes and folders, where a recipe has sources or there are several data sets; else none."""
    import cgrseg
    from cgrseg.classes import named
    from cgrseg.data.mixture import common_classes, planned_sources

    settings = cgrseg.read_recipe(recipe) if recipe else None
    if settings is not None and settings.sources:
        return settings.sources, common_classes(settings.data), data.by_source(settings.sources)
    if len(data.given) < 2:
        return None
    sources, names = planned_sources(data.kinds())
    return sources, named(names), data.by_source(sources)


def kind_of(name: str) -> Kind:
    """The kind of data set of this name."""
    if name in KINDS:
        return KINDS[name]
    close = difflib.get_close_matches(name, KINDS, n=1)
    advice = f"did you mean {close[0]!r}?" if close else f"the kinds are {', '.join(KINDS)}"
    raise click.BadParameter(f"no kind of data set is called {name!r}; {advice}", param_hint=HINT)


class NamedPathType(click.ParamType[tuple[str, Path]]):
    """Reads NAME=PATH, where the recipe may have a source of that name."""

    name = "kind=path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        name, equals, path = value.partition("=")
        if not equals:
            self.fail(f"{value!r} names no layout; write KIND=PATH, for example camvid={value}", param, ctx)
        if not Path(path).is_dir():
            self.fail(f"{path}: no such folder", param, ctx)
        return name, Path(path)


class DataPathType(click.ParamType[DataPath]):
    """Reads KIND=PATH, checking both halves."""

    name = "kind=path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> DataPath:
        if "=" in value:
            kind_of(value.partition("=")[0])
        name, path = NamedPathType().convert(value, param, ctx)
        return DataPath(kind_of(name), path)


class LevelsType(click.ParamType[Levels]):
    """Reads BLACK,WHITE."""

    name = "black,white"

    def convert(self, value: str | Levels, param: click.Parameter | None, ctx: click.Context | None) -> Levels:
        if not isinstance(value, str):
            return value
        try:
            black, white = (float(part) for part in value.strip("[]() ").split(","))
        except ValueError:
            self.fail(f"{value!r} is not two numbers; write BLACK,WHITE, for example 0,4095", param, ctx)
        if not black < white:
            self.fail(f"white ({white:g}) is not above black ({black:g})", param, ctx)
        return black, white


ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
MERGE = "cgrseg.merge"
"""Where the context keeps the value of --merge until that of --data is read."""

engine = click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True)
device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, or one of several, cuda:1.")
threads = click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all cores]")
protocol = click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default="whole",
    show_default=True,
    help="How an image is shown to the network.",
)
levels = click.option(
    "--levels",
    type=LevelsType(),
    help="Black and white of images of more than 8 bits, such as 0,4095.  [default: those of the weights]",
)
as_json = click.option("--json", "json_file", type=FILE, help="Write the report to this file, too.")


def data(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --data and, as a part of its value, --merge."""
    description = "Layout and folder of labelled images."
    path = click.option("-d", "--data", type=DataPathType(), required=True, callback=_with_merge, help=description)
    return path(_merge(command))


def several_data(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --data, which may be there for each source of a recipe, and, as a part of its value, --merge."""
    description = "Layout and folder of labelled images; with several sources once for each, SOURCE=PATH."
    path = click.option(
        "-d", "--data", type=NamedPathType(), multiple=True, required=True, callback=_gathered, help=description
    )
    return path(_merge(command))


def _merge(command: Callable[..., None]) -> Callable[..., None]:
    description = "YAML of new classes, each with the old ones that it is made of."
    merge = click.option(
        "--merge", type=FILE, is_eager=True, expose_value=False, callback=_keep_merge, help=description
    )
    return merge(command)


def _keep_merge(context: click.Context, parameter: click.Parameter, file: Path | None) -> None:  # noqa: ARG001
    context.meta[MERGE] = read_merge(file) if file else {}


def _with_merge(context: click.Context, parameter: click.Parameter, value: DataPath) -> DataPath:  # noqa: ARG001
    return replace(value, merge=context.meta[MERGE])


def _gathered(context: click.Context, parameter: click.Parameter, value: tuple[tuple[str, Path], ...]) -> DataPaths:  # noqa: ARG001
    return DataPaths(value, context.meta[MERGE])


def write_report(file: Path | None, report: dict) -> None:
    """Write a report as JSON where the user asked for one."""
    if file is not None:
        write_json(file, report)
