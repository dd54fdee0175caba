"""Efficient semantic segmentation: from an image to a map of labels.

    segmenter = cgrseg.load("cgrseg-lite-everyday")
    result = segmenter("street.jpg")
    result.labels

Every public name is imported on first use, so `import cgrseg` costs milliseconds and not PyTorch's seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cgrseg.benchmarking import BenchmarkConfig, benchmark
    from cgrseg.config import ModelConfig, Recipe
    from cgrseg.data.datasets import open_dataset
    from cgrseg.errors import (
        CGRSegError,
        CheckpointError,
        DatasetError,
        ExportError,
        FetchError,
        ImageError,
        MissingExtra,
        RecipeError,
        RunStopped,
        TooLargeError,
        TrainingError,
    )
    from cgrseg.evaluation import Evaluation, evaluate
    from cgrseg.exporting import export
    from cgrseg.model import build_model
    from cgrseg.predictor import Failure, Segmentation, Segmenter, load
    from cgrseg.recipes import read_recipe
    from cgrseg.training import train

__version__ = "0.1.0"

__all__ = [
    "BenchmarkConfig",
    "CGRSegError",
    "CheckpointError",
    "DatasetError",
    "Evaluation",
    "ExportError",
    "Failure",
    "FetchError",
    "ImageError",
    "MissingExtra",
    "ModelConfig",
    "Recipe",
    "RecipeError",
    "RunStopped",
    "Segmentation",
    "Segmenter",
    "TooLargeError",
    "TrainingError",
    "benchmark",
    "build_model",
    "evaluate",
    "export",
    "load",
    "open_dataset",
    "read_recipe",
    "train",
]

_HOMES = {
    "BenchmarkConfig": "benchmarking",
    "CGRSegError": "errors",
    "CheckpointError": "errors",
    "DatasetError": "errors",
    "ExportError": "errors",
    "FetchError": "errors",
    "ImageError": "errors",
    "MissingExtra": "errors",
    "RecipeError": "errors",
    "RunStopped": "errors",
    "TooLargeError": "errors",
    "TrainingError": "errors",
    "Evaluation": "evaluation",
    "Failure": "predictor",
    "ModelConfig": "config",
    "Recipe": "config",
    "Segmentation": "predictor",
    "Segmenter": "predictor",
    "benchmark": "benchmarking",
    "build_model": "model",
    "evaluate": "evaluation",
    "export": "exporting",
    "load": "predictor",
    "open_dataset": "data.datasets",
    "read_recipe": "recipes",
    "train": "training",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'cgrseg' has no attribute {name!r}; its names are {', '.join(__all__)}")
    value = getattr(import_module(f"cgrseg.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
