"""Logits -> label map: the exact argmax of their bilinear upsampling, without full-size logits."""

from cgrseg.labeling.blend import Blend, Windows, cover
from cgrseg.labeling.maps import confidence_map, label_map
from cgrseg.labeling.mixing import Look, mixed_maps

__all__ = ["Blend", "Look", "Windows", "confidence_map", "cover", "label_map", "mixed_maps"]
