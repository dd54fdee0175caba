"""From weights to a file for other runtimes, kept only if it gives what the network gives.

    weights -- graph -- (INT8) -- unfinished file -- compared with PyTorch on real images -- file + parity report

Axes: H W image rows and columns.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from cgrseg.config import ExportTarget
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.images import read_image
from cgrseg.errors import ExportError
from cgrseg.exporting.parity import Parity, at_judged_sizes, compare
from cgrseg.exporting.quantization import PARTS, quantize
from cgrseg.files import replacing
from cgrseg.predictor import Segmenter
from cgrseg.predictor.views import prepare
from cgrseg.runtime import TorchEngine, graph_of, open_graph
from cgrseg.runtime.graph import require, trace
from cgrseg.runtime.openvino import INT8, RT_INFO
from cgrseg.runtime.torch import ProgramEngine
from cgrseg.weights import WeightsInfo, open_weights
from cgrseg.weights.format import as_metadata

if TYPE_CHECKING:
    import openvino

SUFFIXES: dict[ExportTarget, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
CALIBRATION, JUDGES = 64, 24
"""Images that INT8 is calibrated on, by turns at the sizes that it is judged at, and images it is judged by."""

Say = Callable[[str], None]


def export(
    weights: str | Path,
    to: ExportTarget,
    path: Path | None = None,
    *,
    data: LabelledImages | None = None,
    calibrate: LabelledImages | None = None,
    say: Say = lambda _: None,
) -> tuple[Path, Parity]:
    """Write weights as a file for ONNX Runtime, OpenVINO or PyTorch's own loader, once it is shown to agree.

    Args:
        weights: whatever `cgrseg.load` takes that PyTorch runs.
        to: what the file is for; ONNX and OpenVINO files load through `cgrseg.load`.
        path: of the file; `<weights>.onnx` and so on in the current folder unless given.
        data: labelled images that the file is scored on, too; the bundled photo is compared in any case.
        calibrate: images like those it will see, for INT8 convolutions (OpenVINO only).
        say: told what is being done.

    Returns:
        The file, and how it compares; the same is written beside it as `<file>.parity.json`.

    Raises:
        ExportError: what was made gives other labels than the network; nothing is kept.
        MissingExtra: a package that writes or runs such files is not installed.
    """
    if calibrate is not None and to != "openvino":
        raise ExportError(
            f"INT8 is written for OpenVINO only, not for {to!r}",
            advice="export for openvino",
            setting="to",
        )
    model, info = open_weights(weights)
    path = path or Path(Path(weights).stem + ("-int8" if calibrate else "")).with_suffix(SUFFIXES[to])
    if path.suffix != SUFFIXES[to]:
        raise ExportError(f"{path}: a file for {to} ends in {SUFFIXES[to]}")
    original = Segmenter(TorchEngine(model), info, str(weights))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        if calibrate is not None:
            parity = _quantize(original, graph_of(model), made, calibrate, data, say)
        else:
            say("writing the graph")
            WRITERS[to](model, info, made)
            say("comparing it with PyTorch")
            images = [_photo(), *(spread(data, JUDGES // 4) if data else [])]
            parity = compare(original, _open(made, info), made, images, data)
            parity.require_agreement()
        _deliver(made, path, parity)
    return path, parity


def _photo() -> np.ndarray:
    return read_image(Path(str(resources.files("cgrseg") / "assets" / "street.jpg")))


def _write_onnx(model: torch.nn.Module, info: WeightsInfo, path: Path) -> None:
    require("onnx", "onnxscript", "onnxruntime", extra="onnx")
    import onnx

    graph = onnx.load(graph_of(model))
    onnx.helper.set_model_props(graph, as_metadata(info))
    onnx.save(graph, path)


def _write_openvino(model: torch.nn.Module, info: WeightsInfo, path: Path) -> None:
    require("openvino", extra="openvino")
    import openvino

    _save(openvino.Core().read_model(graph_of(model)), as_metadata(info), path)


def _save(graph: "openvino.Model", metadata: dict[str, str], path: Path) -> None:
    import openvino

    for key, value in metadata.items():
        graph.set_rt_info(value, [RT_INFO, key])
    openvino.save_model(graph, path, compress_to_fp16=False)


def _write_program(model: torch.nn.Module, info: WeightsInfo, path: Path) -> None:
    torch.export.save(trace(model), path, extra_files=as_metadata(info))


WRITERS: dict[ExportTarget, Callable[[torch.nn.Module, WeightsInfo, Path], None]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "torch": _write_program,
}


def _open(path: Path, info: WeightsInfo) -> Segmenter:
    """The file as its users will run it."""
    if path.suffix == ".pt2":
        return Segmenter(ProgramEngine(path), info, path.name)
    engine = "onnx" if path.suffix == ".onnx" else "openvino"
    return Segmenter(*open_graph(path, engine=engine), path.name)


def _quantize(
    original: Segmenter, graph: Path, made: Path, calibrate: LabelledImages, data: LabelledImages | None, say: Say
) -> Parity:
    """Write INT8; where it does not agree, with the parts that hurt most left in floats, one after the other."""
    info = original.info
    sizes = cycle(at_judged_sizes(info))
    seen = [prepare(image, size)[None] for image, size in zip(spread(calibrate, CALIBRATION), sizes, strict=False)]
    judges = spread(data, JUDGES) if data is not None else spread(calibrate, JUDGES, shift=0.5)

    def attempt(in_floats: tuple[str, ...]) -> Parity:
        say(f"calibrating on {len(seen)} images" + (f", {', '.join(in_floats)} in floats" if in_floats else ""))
        quantized = quantize(graph, seen, in_floats)
        _save(quantized, as_metadata(info) | {INT8: json.dumps({"in_floats": in_floats})}, made)
        say("comparing it with PyTorch")
        return replace(compare(original, _open(made, info), made, judges, data), in_floats=in_floats)

    parity = attempt(())
    if not parity.agrees:
        hurting = sorted(PARTS, key=lambda part: attempt((part,)).equal, reverse=True)
        for count in range(1, len(hurting) + 1):
            parity = attempt(tuple(hurting[:count]))
            if parity.agrees:
                break
    parity.require_agreement()
    return parity


def spread(dataset: LabelledImages, most: int, shift: float = 0.0) -> list[np.ndarray]:
    """So many images of a data set at most, evenly spread over it; `shift` gives others, between them."""
    count = min(most, len(dataset))
    return [dataset.image(int((place + shift) * len(dataset) / count)) for place in range(count)]


def _deliver(made: Path, path: Path, parity: Parity) -> None:
    """Move the file, what belongs to it and the report to where they were asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = json.dumps({"file": path.name} | parity.as_tree(), indent=2) + "\n"
    made.with_name(f"{path.name}.parity.json").write_text(report, encoding="utf-8")
    others = [file for file in made.parent.iterdir() if file != made]
    for file in (*others, made):  # the file that is opened comes last
        with replacing(path.with_name(file.name)) as unfinished:
            shutil.copyfile(file, unfinished)
