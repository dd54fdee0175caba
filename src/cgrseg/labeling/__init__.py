"""Logits -> label map: the exact argmax of their bilinear upsampling, without full-size logits."""

from cgrseg.labeling.maps import label_map, label_map_with_confidence

__all__ = ["label_map", "label_map_with_confidence"]
