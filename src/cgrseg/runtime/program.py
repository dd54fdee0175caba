"""The engine that runs a program of PyTorch's own exporter, to compare it; users take `torch.export.load` itself."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32


class ProgramEngine:
    """A `.pt2` file that this process wrote."""

    name = "program"

    def __init__(self, path: Path) -> None:
        self._module = torch.export.load(path).module()

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        with torch.inference_mode():
            return self._module(torch.from_numpy(images)).numpy()
