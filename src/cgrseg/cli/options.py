"""Options that several commands share, and how the text of one becomes a value."""

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import click

from cgrseg.config import Kind, Merge
from cgrseg.recipes import read_merge


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


class DataPathType(click.ParamType[DataPath]):
    """Reads KIND=PATH, checking both halves."""

    name = "kind=path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> DataPath:
        kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
        kind, equals, path = value.partition("=")
        if not equals:
            self.fail(f"{value!r} names no layout; write KIND=PATH, for example camvid={value}", param, ctx)
        if kind not in kinds:
            close = difflib.get_close_matches(kind, kinds, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"the kinds are {', '.join(kinds)}"
            self.fail(f"no kind of data set is called {kind!r}; {advice}", param, ctx)
        if not Path(path).is_dir():
            self.fail(f"{path}: no such folder", param, ctx)
        return DataPath(kinds[kind], Path(path))


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
    told = "YAML of new classes, each with the old ones that it is made of."
    merge = click.option("--merge", type=FILE, is_eager=True, expose_value=False, callback=_keep_merge, help=told)
    told = "Layout and folder of labelled pictures."
    path = click.option("-d", "--data", type=DataPathType(), required=True, callback=_with_merge, help=told)
    return path(merge(command))


def _keep_merge(context: click.Context, parameter: click.Parameter, file: Path | None) -> None:  # noqa: ARG001
    context.meta[MERGE] = read_merge(file) if file else {}


def _with_merge(context: click.Context, parameter: click.Parameter, value: DataPath) -> DataPath:  # noqa: ARG001
    return replace(value, merge=context.meta[MERGE])


def write_json(file: Path | None, report: dict) -> None:
    """Write a report where the user asked for one."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
