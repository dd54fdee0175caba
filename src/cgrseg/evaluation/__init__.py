"""Evaluation of a segmenter on labelled images: scores, comparison with another one, temperature calibration."""

from cgrseg.evaluation.calibrate import Calibration, calibrate, require_target, write_temperature
from cgrseg.evaluation.evaluate import evaluate, evaluate_part
from cgrseg.evaluation.results import Comparison, Evaluation, compare, require_labels, require_same_classes

__all__ = [
    "Calibration",
    "Comparison",
    "Evaluation",
    "calibrate",
    "compare",
    "evaluate",
    "evaluate_part",
    "require_labels",
    "require_same_classes",
    "require_target",
    "write_temperature",
]
