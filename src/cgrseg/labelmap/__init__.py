"""Logits -> label map: the exact argmax of their bilinear upsampling, without full-size logits.

Names are imported on first use: `warm_up` needs no PyTorch, and can compile the kernels while that loads.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cgrseg.labelmap.ensemble import Look, mixed_maps
    from cgrseg.labelmap.grid import Blend, Windows, cover
    from cgrseg.labelmap.maps import confidence_map, label_map
    from cgrseg.labelmap.warmup import warm_up

__all__ = ["Blend", "Look", "Windows", "confidence_map", "cover", "label_map", "mixed_maps", "warm_up"]

_HOMES = {
    "Blend": "grid",
    "Look": "ensemble",
    "Windows": "grid",
    "confidence_map": "maps",
    "cover": "grid",
    "label_map": "maps",
    "mixed_maps": "ensemble",
    "warm_up": "warmup",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'cgrseg.labelmap' has no attribute {name!r}")
    value = getattr(import_module(f"cgrseg.labelmap.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
