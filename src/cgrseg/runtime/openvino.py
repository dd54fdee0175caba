"""The engine that runs an ONNX or OpenVINO file in OpenVINO, on a CPU; usually the fastest one."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from cgrseg.config import EnginePrecision
from cgrseg.errors import CheckpointError, reason
from cgrseg.files import replacing
from cgrseg.runtime.cache import cache_folder, digest_of_file
from cgrseg.runtime.graph import require

if TYPE_CHECKING:
    import openvino

RT_INFO = "cgrseg"
"""The section of the file's `rt_info` that holds the metadata."""
INT8 = "int8"
"""The key of the metadata that marks a quantized network."""


class OpenVINOEngine:
    """An ONNX or OpenVINO file, compiled for this machine; the compiled form is kept for the next process."""

    name = "openvino"

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        require("openvino", extra="openvino")
        import openvino

        self._core = openvino.Core()
        try:
            model = self._core.read_model(path)
        except RuntimeError as error:
            raise CheckpointError(f"{path.name}: OpenVINO cannot read it: {_last_line(error)}") from None
        self.metadata = read_metadata(model)
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self._float_precision()}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        self._compiled = self._compile(model, path, settings)

    @property
    def precision(self) -> EnginePrecision:
        return "int8" if INT8 in self.metadata else "fp32"

    def _float_precision(self) -> str:
        """fp32; bf16 for the layers that a quantized file leaves in floats, if the CPU multiplies it natively."""
        can_half = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if self.precision == "int8" and can_half else "f32"

    def _compile(self, model: "openvino.Model", path: Path, settings: dict[str, str]) -> "openvino.CompiledModel":
        """The network in machine code: from the cache, or made and kept there."""
        import openvino

        machine = [openvino.__version__, self._core.get_property("CPU", "FULL_DEVICE_NAME"), repr(settings)]
        files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
        name = "-".join(digest_of_file(file, *machine) for file in files)
        blob = cache_folder() / f"{name}.blob"
        try:
            return self._core.import_model(io.BytesIO(blob.read_bytes()), "CPU", settings)
        except (OSError, RuntimeError):  # none yet, or one that this machine cannot use after all
            compiled = self._core.compile_model(model, "CPU", settings)
        with replacing(blob) as unfinished:
            unfinished.write_bytes(_bytes(compiled))
        return compiled

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        return self._compiled(images)[0]


def read_metadata(model: "openvino.Model") -> dict[str, str]:
    """Metadata of an OpenVINO file, or of an ONNX file read by OpenVINO."""
    for section in ([RT_INFO], ["framework"]):
        if model.has_rt_info([*section, "format"]):
            keys = [key for key in ("format", "version", "info", INT8) if model.has_rt_info([*section, key])]
            return {key: str(model.get_rt_info([*section, key]).value) for key in keys}
    return {}


def _bytes(compiled: "openvino.CompiledModel") -> bytes:
    content = compiled.export_model()
    return content if isinstance(content, bytes) else content.getvalue()


def _last_line(error: RuntimeError) -> str:
    """The last line of an OpenVINO message, which follows a list of its own source files."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else reason(error)
