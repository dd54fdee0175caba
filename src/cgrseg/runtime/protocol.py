"""The door that every engine stands behind.

Axes: b batch, k classes, h w logit rows and columns, H W image rows and columns.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32


@runtime_checkable
class Engine(Protocol):
    """A network made ready to run: normalised images in, logits at an eighth of their size out."""

    @property
    def name(self) -> str:
        """What `--engine` calls it."""
        ...

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        """Logits of ceil(H/8) x ceil(W/8), the grid spanning 8*ceil(H/8) x 8*ceil(W/8) pixels, in a new array."""
        ...
