"""Logits -> label map: the exact argmax of their bilinear upsampling, without full-size logits.

Names are imported on first use: `warm_up` needs no PyTorch, and can compile the kernels while that loads.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cgrseg.labeling.blend import Blend, Windows, cover
    from cgrseg.labeling.maps import confidence_map, label_map
    from cgrseg.labeling.mixing import Look, mixed_maps
    from cgrseg.labeling.warmup import warm_up

__all__ = ["Blend", "Look", "Windows", "confidence_map", "cover", "label_map", "mixed_maps", "warm_up"]

_HOMES = {
    "Blend": "blend",
    "Look": "mixing",
    "Windows": "blend",
    "confidence_map": "maps",
    "cover": "blend",
    "label_map": "maps",
    "mixed_maps": "mixing",
    "warm_up": "warmup",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'cgrseg.labeling' has no attribute {name!r}")
    value = getattr(import_module(f"cgrseg.labeling.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
