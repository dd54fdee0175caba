"""The network as a graph that needs no PyTorch to run: folded, for any height, width and batch.

Axes: b batch, k classes, h w logit rows and columns, H W image rows and columns.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from cgrseg.errors import MissingExtra
from cgrseg.model.folding import fold

INPUT, OUTPUT = "images", "logits"
EXAMPLE = (2, 3, 250, 310)
"""No size that is special: not square, no multiple of 32, more than one image."""


def trace(model: nn.Module) -> ExportedProgram:
    """The folded network as one program of PyTorch's for images of any size, (b, 3, H, W) -> (b, k, h, w)."""
    dynamic = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with _quiet(), torch.no_grad():
        return torch.export.export(fold(model).cpu(), (torch.zeros(EXAMPLE),), dynamic_shapes=(dynamic,))


def write_onnx(model: nn.Module, path: Path) -> None:
    """Write the network as ONNX, input `images`, output `logits`.

    Raises:
        MissingExtra: the packages that write ONNX are not installed.
    """
    require("onnx", "onnxscript", extra="onnx")
    program = trace(model)
    with _quiet():
        exported = torch.onnx.export(
            program, dynamo=True, input_names=[INPUT], output_names=[OUTPUT], verbose=False, optimize=False
        )
        assert exported is not None
        exported.optimize()
        exported.save(path, external_data=False)


def require(*packages: str, extra: str) -> None:
    """Stop with the line that installs an extra unless its packages are here."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"{' and '.join(missing)} not installed",
            advice=f"run: pip install 'cgrseg[{extra}]'",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' remarks on packages that this network does not use and on their own future."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
