"""Options that several commands share, and how the text of one becomes a value."""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click

from cgrseg.config import Kind


@dataclass(frozen=True)
class DataPath:
    """`camvid=path/to/CamVid`: the layout of a data set, and where it is."""

    kind: Kind
    path: Path


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
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

data = click.option("-d", "--data", type=DataPathType(), required=True, help="Layout and folder of labelled pictures.")
engine = click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True)
device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, or one of several, cuda:1.")
threads = click.option("--threads", type=click.IntRange(min=1), help="CPU threads.  [default: all cores]")
as_json = click.option("--json", "json_file", type=FILE, help="Write the report to this file, too.")


def write_json(file: Path | None, report: dict) -> None:
    """Write a report where the user asked for one."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
