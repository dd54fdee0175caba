"""Logits -> label map: the exact argmax of their bilinear upsampling, without full-size logits."""

from cgrseg.labeling.maps import confidence_map, label_map

__all__ = ["confidence_map", "label_map"]
