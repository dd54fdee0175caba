"""Export of weights for other runtimes; a file is kept only if its labels agree with PyTorch's.

weights -- graph -- (INT8) -- temporary file -- compared with PyTorch on real images -- file + parity report
"""

import io
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
from cgrseg.files import json_text, replacing
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
CALIBRATION, COMPARED = 64, 24
"""Images to calibrate INT8 on, alternating between the sizes of the comparison, and images to compare on."""

OnStage = Callable[[str], None]


def export(
    weights: str | Path,
    to: ExportTarget,
    path: Path | None = None,
    *,
    data: LabelledImages | None = None,
    calibrate: LabelledImages | None = None,
    on_stage: OnStage = lambda _: None,
) -> tuple[Path, Parity]:
    """Export weights to ONNX, OpenVINO or a PyTorch program, and compare the file with PyTorch before keeping it.

    Args:
        weights: anything `cgrseg.load` accepts that runs on PyTorch.
        to: the runtime; ONNX and OpenVINO files can be opened by `cgrseg.load`.
        path: the file; by default `<weights>.onnx`, `.xml` or `.pt2` in the current folder.
        data: labelled images to score the file on; without them labels are compared on the bundled photo only.
        calibrate: images like those in use, to calibrate INT8 convolutions on (OpenVINO only).
        on_stage: called with a description of each stage.

    Returns:
        The file and its parity report, which is also written next to it as `<file>.parity.json`.

    Raises:
        ExportError: the labels of the file differ from PyTorch's, and nothing is kept; or the arguments do not fit.
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
    original(_photo())  # refuses weights whose network gives no numbers
    data, calibrate = (images and images.with_levels(info.levels) for images in (data, calibrate))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        if calibrate is not None:
            parity = _quantize(original, graph_of(model), made, calibrate, data, on_stage)
        else:
            on_stage("writing the graph")
            _write(to, model, info, made)
            on_stage("comparing it with PyTorch")
            images = [_photo(), *(spread(data, COMPARED // 4) if data else [])]
            parity = _compared(original, made, images, data)
            parity.require_agreement()
        _deliver(made, path, parity)
    return path, parity


def _write(to: ExportTarget, model: torch.nn.Module, info: WeightsInfo, made: Path) -> None:
    try:
        WRITERS[to](model, info, made)
    except OSError as error:  # which names the folder of temporary files, if anything
        raise OSError(error.errno, error.strerror, str(made)) from None


def _compared(original: Segmenter, made: Path, images: list[np.ndarray], data: LabelledImages | None) -> Parity:
    try:
        return compare(original, _open(made, original.info), made, images, data)
    except AssertionError:  # of PyTorch, for a size that the program does not take
        raise ExportError(
            f"{made.name} does not run at all sizes around a short side of {original.info.inference.short_px} pixels",
            advice="export for onnx or openvino",
            setting="to",
        ) from None


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
    content = io.BytesIO()  # PyTorch's own writer does not say why it fails
    torch.export.save(trace(model), content, extra_files=as_metadata(info))
    path.write_bytes(content.getbuffer())


WRITERS: dict[ExportTarget, Callable[[torch.nn.Module, WeightsInfo, Path], None]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "torch": _write_program,
}


def _open(path: Path, info: WeightsInfo) -> Segmenter:
    """Open an exported file in the runtime it is for."""
    if path.suffix == ".pt2":
        return Segmenter(ProgramEngine(path), info, path.name)
    engine = "onnx" if path.suffix == ".onnx" else "openvino"
    return Segmenter(*open_graph(path, engine=engine), path.name)


def _quantize(
    original: Segmenter,
    graph: Path,
    made: Path,
    calibrate: LabelledImages,
    data: LabelledImages | None,
    on_stage: OnStage,
) -> Parity:
    """Write an INT8 file; while its labels differ too much, leave one more part in floats, the most harmful first."""
    info = original.info
    sizes = cycle(at_judged_sizes(info))
    inputs = [prepare(image, size)[None] for image, size in zip(spread(calibrate, CALIBRATION), sizes, strict=False)]
    compared = spread(data, COMPARED) if data is not None else spread(calibrate, COMPARED, shift=0.5)

    def attempt(in_floats: tuple[str, ...]) -> Parity:
        on_stage(f"calibrating on {len(inputs)} images" + (f", {', '.join(in_floats)} in floats" if in_floats else ""))
        quantized = quantize(graph, inputs, in_floats)
        _save(quantized, as_metadata(info) | {INT8: json.dumps({"in_floats": in_floats})}, made)
        on_stage("comparing it with PyTorch")
        return replace(compare(original, _open(made, info), made, compared, data), in_floats=in_floats)

    parity = attempt(())
    if not parity.agrees:
        parts = sorted(PARTS, key=lambda part: attempt((part,)).equal, reverse=True)
        for count in range(1, len(parts) + 1):
            parity = attempt(tuple(parts[:count]))
            if parity.agrees:
                break
    parity.require_agreement()
    return parity


def spread(dataset: LabelledImages, most: int, shift: float = 0.0) -> list[np.ndarray]:
    """At most `most` images, evenly spread over a data set; a `shift` of 0..1 selects others between them."""
    count = min(most, len(dataset))
    return [dataset.image(int((index + shift) * len(dataset) / count)) for index in range(count)]


def _deliver(made: Path, path: Path, parity: Parity) -> None:
    """Copy the file, the files that belong to it and the report to their destination."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = json_text({"file": path.name} | parity.as_tree())
    made.with_name(f"{path.name}.parity.json").write_text(report, encoding="utf-8")
    others = [file for file in made.parent.iterdir() if file != made]
    for file in (*others, made):  # the file that users open is copied last
        with replacing(path.with_name(file.name)) as unfinished:
            shutil.copyfile(file, unfinished)
