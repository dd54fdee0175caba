"""The engine that runs the network as it is, in PyTorch, on a CPU or a CUDA device."""

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from cgrseg.errors import CGRSegError


class TorchEngine:
    """A network in eval mode on one device."""

    name = "torch"

    def __init__(self, model: nn.Module, *, device: str = "cpu", threads: int | None = None) -> None:
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise CGRSegError(f"device {device!r} is not available: PyTorch sees no CUDA device; use device 'cpu'")
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = torch.device(device)
        self.model = model.eval().to(self.device)

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        with torch.inference_mode():
            return self.model(torch.from_numpy(images).to(self.device)).float().cpu().numpy()
