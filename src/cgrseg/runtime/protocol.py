"""The engine protocol: everything the rest of the package asks of whatever runs the network.

Axes: b batch, k classes, h w logit rows and columns, H W image rows and columns.
"""

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

Precision = Literal["fp32", "bf16", "fp16", "int8"]


@runtime_checkable
class Engine(Protocol):
    """A network, ready to run: normalised images in, logits at an eighth of their size out.

    `cgrseg.load(weights, engine=...)` takes any object with these attributes.
    """

    @property
    def name(self) -> str:
        """Name of the engine, such as `openvino`."""
        ...

    @property
    def precision(self) -> Precision:
        """The type that the network computes in."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """Metadata of the file that the network was read from; empty for a network built in this process."""
        ...

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        """Logits of ceil(H/8) x ceil(W/8); the grid spans 8*ceil(H/8) x 8*ceil(W/8) pixels. A new array each time."""
        ...
