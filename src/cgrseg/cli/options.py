"""Options that several commands share, and how the text of one becomes a value."""

import difflib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from cgrseg.config import Kind, Merge
from cgrseg.recipes import read_merge

if TYPE_CHECKING:
    from cgrseg.config import Recipe
    from cgrseg.training.splits import Where

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

    @property
    def label(self) -> str:
        """A name for a run on it."""
        return self.path.resolve().name

    def folders(self, recipe: "Recipe") -> "Where":
        """The folder; by name, if it is the one source of the recipe."""
        return _by_name(((self.kind, self.path),), self.merge) if recipe.sources else self.path

    def __str__(self) -> str:
        return f"--data {shlex.quote(f'{self.kind}={self.path}')}"


@dataclass(frozen=True)
class DataPaths:
    """Several data sets, each by its kind or by the name of a source of the recipe."""

    given: tuple[tuple[str, Path], ...]
    merge: Merge = field(default_factory=dict)

    def overrides(self) -> tuple[str, ...]:
        """Refused: settings are of one data set."""
        if len(self.given) == 1:
            raise click.BadParameter(_no_kind(self.given[0][0]), param_hint="'-d' / '--data'")
        raise click.UsageError("--data is there several times, but the recipe has no sources; give one data set")

    @property
    def label(self) -> str:
        """A name for a run on them."""
        return "-".join(path.resolve().name for _, path in self.given)

    def folders(self, recipe: "Recipe") -> "Where":  # noqa: ARG002  as that of DataPath
        """The folders by the name of the source."""
        return _by_name(self.given, self.merge)

    def __str__(self) -> str:
        return " ".join(f"--data {shlex.quote(f'{name}={path}')}" for name, path in self.given)


def _by_name(given: tuple[tuple[str, Path], ...], merge: Merge) -> dict[str, Path]:
    if merge:
        raise click.UsageError("--merge is for one data set; the recipe's sources say what their classes are")
    if len(dict(given)) < len(given):
        raise click.UsageError("--data names the same source twice; each has one folder")
    return dict(given)


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
        kind, equals, _ = value.partition("=")
        if equals and kind not in KINDS:
            self.fail(_no_kind(kind), param, ctx)
        kind, path = NamedPathType().convert(value, param, ctx)
        return DataPath(KINDS[kind], path)


def _no_kind(name: str) -> str:
    close = difflib.get_close_matches(name, KINDS, n=1)
    advice = f"did you mean {close[0]!r}?" if close else f"the kinds are {', '.join(KINDS)}"
    return f"no kind of data set is called {name!r}; {advice}"


ENGINES = ("auto", "torch", "onnx", "openvino")
"""The names in `cgrseg.runtime.EngineName`, repeated so that --help need not import PyTorch."""
PROTOCOLS = ("whole", "sliding", "multi-scale")
"""The names in `cgrseg.inference.ProtocolName`, repeated for the same reason."""
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
    help="How a picture is shown to the network.",
)
as_json = click.option("--json", "json_file", type=FILE, help="Write the report to this file, too.")


def data(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --data and, as a part of its value, --merge."""
    told = "Layout and folder of labelled pictures."
    path = click.option("-d", "--data", type=DataPathType(), required=True, callback=_with_merge, help=told)
    return path(_merge(command))


def several_data(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --data, which may be there for each source of a recipe, and, as a part of its value, --merge."""
    told = "Layout and folder of labelled pictures; with several sources once for each, SOURCE=PATH."
    path = click.option(
        "-d", "--data", type=NamedPathType(), multiple=True, required=True, callback=_one_or_several, help=told
    )
    return path(_merge(command))


def _merge(command: Callable[..., None]) -> Callable[..., None]:
    told = "YAML of new classes, each with the old ones that it is made of."
    merge = click.option("--merge", type=FILE, is_eager=True, expose_value=False, callback=_keep_merge, help=told)
    return merge(command)


def _keep_merge(context: click.Context, parameter: click.Parameter, file: Path | None) -> None:  # noqa: ARG001
    context.meta[MERGE] = read_merge(file) if file else {}


def _with_merge(context: click.Context, parameter: click.Parameter, value: DataPath) -> DataPath:  # noqa: ARG001
    return replace(value, merge=context.meta[MERGE])


def _one_or_several(
    context: click.Context,
    parameter: click.Parameter,  # noqa: ARG001
    value: tuple[tuple[str, Path], ...],
) -> DataPath | DataPaths:
    name, path = value[0]
    merge = context.meta[MERGE]
    return DataPath(KINDS[name], path, merge) if len(value) == 1 and name in KINDS else DataPaths(value, merge)


def write_json(file: Path | None, report: dict) -> None:
    """Write a report where the user asked for one."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
