"""INT8 quantization: convolutions in 8-bit integers, with scales calibrated on real images.

    graph -- constants folded -- NNCF, calibrated on prepared images -- graph with 8-bit convolutions

Constants are folded first because the exporter leaves the kernels of depthwise convolutions behind a reshape, where
NNCF takes the wrong axis for their channels and OpenVINO then computes them in floats. Attention stays in floats: it
is a loop in the graph, and eight bits are too few for its softmax.

Axes: _H _W rows and columns of a prepared image.
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from cgrseg.runtime.graph import require

if TYPE_CHECKING:
    import openvino

PARTS = ("head", "reconstruct", "pyramid", "backbone.stem", "backbone.stages.0", "backbone.stages.1")
"""Parts of the network that can be left in floats, as prefixes of the names of their tensors."""


def quantize(
    graph: Path, images: Sequence[Float32[np.ndarray, "1 3 _H _W"]], in_floats: Sequence[str] = ()
) -> "openvino.Model":
    """Quantize the convolutions of a network to INT8.

    Args:
        graph: ONNX file of the network.
        images: prepared images like those in use, for calibration.
        in_floats: those of `PARTS` that stay in floats.

    Raises:
        MissingExtra: OpenVINO or NNCF is not installed.
    """
    require("openvino", "nncf", extra="openvino")
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    names = [name for part in in_floats for name in _convolutions(graph, part)]
    return nncf.quantize(
        _folded(graph),
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        ignored_scope=nncf.IgnoredScope(names=names) if names else None,
    )


def _folded(graph: Path) -> "openvino.Model":
    """The graph with its constants folded and unused nodes removed."""
    import openvino
    from openvino.passes import ConstantFolding, Manager

    model = openvino.Core().read_model(graph)
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)
    with tempfile.TemporaryDirectory() as folder:  # unused nodes are not written
        path = Path(folder) / "folded.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        return openvino.Core().read_model(path).clone()


def _convolutions(graph: Path, part: str) -> list[str]:
    """Names of the convolutions whose kernels belong to a part of the network."""
    import openvino

    return [
        node.get_friendly_name()
        for node in openvino.Core().read_model(graph).get_ordered_ops()
        if "Convolution" in node.get_type_name() and _kernel(node).startswith(f"{part}.")
    ]


def _kernel(convolution: "openvino.Node") -> str:
    """Name of a convolution's kernel; that of a depthwise convolution is behind a reshape."""
    source = convolution.input_value(1).get_node()
    while source.get_type_name() == "Reshape":
        source = source.input_value(0).get_node()
    return source.get_friendly_name()
