"""`cgrseg export`: from weights to a file for other runtimes."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from rich.console import Console
from rich.table import Table

from cgrseg.cli import options
from cgrseg.config import ExportTarget

if TYPE_CHECKING:
    from cgrseg.exporting.parity import Parity

EXAMPLE = """\b
Example:
  cgrseg export cgrseg-t-camvid --to onnx
  cgrseg export cgrseg-t-camvid --to openvino --int8 --calibrate camvid=path/to/CamVid"""


@click.command(epilog=EXAMPLE)
@click.argument("weights")
@click.option("--to", type=click.Choice(get_args(ExportTarget)), required=True, help="What the file is for.")
@click.option("-o", "--output", type=options.FILE, help="The file.  [default: named after WEIGHTS]")
@click.option("-d", "--data", type=options.DataPathType(), help="Labelled images (val) to score the file on.")
@click.option("--int8", is_flag=True, help="Convolutions in 8-bit integers; needs --calibrate.")
@click.option("--calibrate", type=options.DataPathType(), help="Images (train) like those it will see.")
def export(
    weights: str,
    to: ExportTarget,
    output: Path | None,
    data: options.DataPath | None,
    int8: bool,
    calibrate: options.DataPath | None,
) -> None:
    """Write WEIGHTS for another runtime. Kept only if its labels are PyTorch's; with a parity report next to it."""
    import cgrseg

    if int8 != (calibrate is not None):
        raise click.UsageError("--int8 and --calibrate KIND=PATH go together")
    classes = cgrseg.load(weights, engine="torch").classes
    scored = cgrseg.open_dataset(data.kind, data.path, "val", classes=classes) if data else None
    seen = cgrseg.open_dataset(calibrate.kind, calibrate.path, "train", classes=classes) if calibrate else None
    with redirect_stdout(sys.stderr), Console(stderr=True).status("reading the weights") as status:
        path, parity = cgrseg.export(weights, to, output, data=scored, calibrate=seen, on_stage=status.update)
    Console().print(table(parity))
    click.echo(path)


def table(parity: "Parity") -> Table:
    """The parity report for people."""
    result = Table("short side", "images", "equal labels, %", "largest logit difference", title=title(parity))
    for column in result.columns:
        column.justify = "right"
    for size in parity.sizes:
        share = f"{100 * size.equal:.4f}"
        result.add_row(f"{size.short_px} px", str(size.images), share, f"{size.difference:.2g} of {size.largest:.3g}")
    result.caption = caption(parity)
    return result


def title(parity: "Parity") -> str:
    """The two sides of the comparison."""
    floats = f", {', '.join(parity.in_floats)} in floats" if parity.in_floats else ""
    return f"{parity.engine}{' INT8' + floats if parity.is_int8 else ''} against PyTorch"


def caption(parity: "Parity") -> str:
    """Speed, size and score."""
    ratio = parity.torch_ms / parity.latency_ms
    times = f"network {parity.latency_ms:.0f} ms, PyTorch {parity.torch_ms:.0f} ms ({ratio:.2f} x)"
    lines = [f"{times}; {parity.megabytes:.1f} MB"]
    if parity.miou is not None:
        lines.append(f"mIoU {100 * parity.miou[1]:.2f} %, PyTorch {100 * parity.miou[0]:.2f} %")
    return "\n".join(lines)
