"""INT8: convolutions in 8-bit integers, scaled by what real images make of each layer.

    graph -- constants multiplied out -- NNCF, calibrated on prepared images -- graph with 8-bit convolutions

The constants come first, for the exporter leaves the kernels of depthwise convolutions behind a reshape, where NNCF
takes the wrong axis for their channels and OpenVINO then computes them in floats. Attention stays in floats: it is a
loop of the graph, and softmax does not bear eight bits.

Axes: H W image rows and columns.
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
"""Parts of the network that can be left in floats, by the beginning of their tensors' names."""


def quantize(
    graph: Path, images: Sequence[Float32[np.ndarray, "1 3 _H _W"]], in_floats: Sequence[str] = ()
) -> "openvino.Model":
    """The network with its convolutions in INT8, but for the parts that stay in floats.

    Args:
        graph: an ONNX file of the network.
        images: prepared ones, like those that it will see.
        in_floats: some of `PARTS`.

    Raises:
        MissingExtra: OpenVINO or NNCF is not installed.
    """
    require("openvino", "nncf", extra="openvino")
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    names = [name for part in in_floats for name in _convolutions(graph, part)]
    return nncf.quantize(
        _plain(graph),
        nncf.Dataset(images),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        ignored_scope=nncf.IgnoredScope(names=names) if names else None,
    )


def _plain(graph: Path) -> "openvino.Model":
    """The graph with its constants multiplied out, and without what nothing reads any more."""
    import openvino
    from openvino.passes import ConstantFolding, Manager

    model = openvino.Core().read_model(graph)
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)
    with tempfile.TemporaryDirectory() as folder:  # what is dead is not written
        path = Path(folder) / "plain.xml"
        openvino.save_model(model, path, compress_to_fp16=False)
        plain = openvino.Core().read_model(path)
        return plain.clone()


def _convolutions(graph: Path, part: str) -> list[str]:
    """The names of the convolutions whose kernels belong to a part of the network."""
    import openvino

    return [
        node.get_friendly_name()
        for node in openvino.Core().read_model(graph).get_ordered_ops()
        if "Convolution" in node.get_type_name() and _kernel(node).startswith(f"{part}.")
    ]


def _kernel(convolution: "openvino.Node") -> str:
    """The name of a convolution's kernel; that of a depthwise one is behind a reshape."""
    source = convolution.input_value(1).get_node()
    while source.get_type_name() == "Reshape":
        source = source.input_value(0).get_node()
    return source.get_friendly_name()
