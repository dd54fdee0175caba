"""What a weights file says about itself, as one value."""

from dataclasses import dataclass, field

from cgrseg.classes import ClassTable
from cgrseg.config import InferenceConfig, ModelConfig, Recipe
from cgrseg.data.transforms import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """Everything but the tensors: nobody passes a config beside a weights file."""

    model: ModelConfig
    classes: ClassTable
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    recipe: Recipe | None = None
    """The recipe they were trained by; none for foreign weights."""
    scores: dict[str, float] = field(default_factory=dict)
    """Such as {"val/miou": 0.66}; 0..1."""
    step: int = 0
    """Optimizer steps behind them."""
    trained_on: tuple[str, ...] = ()
    """SHA-256 (first 16 hex digits) of each training picture's RGB pixels, to find leaks."""
