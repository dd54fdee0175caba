"""The engine that runs an ONNX file in ONNX Runtime, on a CPU."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cgrseg.config import EnginePrecision
from cgrseg.errors import CheckpointError, reason
from cgrseg.runtime.graph import INPUT, OUTPUT, require


class OnnxEngine:
    """An ONNX file, ready to run."""

    name = "onnx"
    precision: EnginePrecision = "fp32"

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        require("onnxruntime", extra="onnx")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; it warns of constants that it drops
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  # its errors share no base class but this
            raise CheckpointError(f"{path.name}: ONNX Runtime cannot read it: {reason(error)}") from None

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the file."""
        return self._session.get_modelmeta().custom_metadata_map

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        logits = self._session.run([OUTPUT], {INPUT: images})[0]
        assert isinstance(logits, np.ndarray)
        return logits
