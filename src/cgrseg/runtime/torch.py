"""PyTorch engines: the network itself on a CPU or a CUDA device, and programs exported by `torch.export`."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from cgrseg.config import EnginePrecision
from cgrseg.errors import CGRSegError
from cgrseg.model import CGRSeg
from cgrseg.model.folding import fold


def require_device(name: str) -> torch.device:
    """The device of that name: `cpu`, `cuda`, or `cuda:1` where there are several.

    Raises:
        CGRSegError: this machine has no such device.
    """
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise CGRSegError(
            f"no device {name!r}",
            advice="use 'cpu', 'cuda' or one of several, such as 'cuda:1'",
        )
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise CGRSegError(f"device {name!r} is not there: PyTorch sees {torch.cuda.device_count()} CUDA devices")
    return torch.device(name)


class TorchEngine:
    """A network in eval mode on one device, folded until the network itself is asked for."""

    name = "torch"
    precision: EnginePrecision = "fp32"
    metadata: Mapping[str, str] = MappingProxyType({})

    def __init__(self, model: nn.Module, *, device: str = "cpu", threads: int | None = None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = require_device(device)
        self._original = model.eval().to(self.device)
        self._running = fold(model) if isinstance(model, CGRSeg) else self._original

    @property
    def model(self) -> nn.Module:
        """The network; once asked for, it is run unfolded, so that changes to it take effect."""
        self._running = self._original
        return self._original

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        with torch.inference_mode():
            return self._running(torch.from_numpy(images).to(self.device)).float().cpu().numpy()


class ProgramEngine:
    """A `.pt2` file that this process wrote, to compare it; users call `torch.export.load` themselves."""

    name = "program"
    precision: EnginePrecision = "fp32"
    metadata: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path) -> None:
        self._module = torch.export.load(path).module()

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        with torch.inference_mode():
            return self._module(torch.from_numpy(images)).numpy()
