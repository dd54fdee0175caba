"""An engine whose label maps can be told by eye: each pixel belongs to the strongest of red, green and blue."""

import numpy as np
from jaxtyping import Float32

from cgrseg.classes import ClassTable
from cgrseg.config import InferenceConfig, ModelConfig
from cgrseg.weights import WeightsInfo

CLASSES = ClassTable(("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


class ColourEngine:
    """Logits are the mean colours of 8 x 8 pixels; what lies beyond the image repeats its border."""

    name, precision, metadata = "colour", "fp32", {}

    def __init__(self) -> None:
        self.seen: list[tuple[int, ...]] = []

    def __call__(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        self.seen.append(images.shape)
        count, _, height, width = images.shape
        padded = np.pad(images, ((0, 0), (0, 0), (0, -height % 8), (0, -width % 8)), mode="edge")
        blocks = padded.reshape(count, 3, padded.shape[2] // 8, 8, padded.shape[3] // 8, 8)
        return blocks.mean(axis=(3, 5), dtype=np.float32)


def colour_info(short_px: int = 64, long_px: int = 128) -> WeightsInfo:
    """Weights that leave the image's values as they are and look at it in this size."""
    return WeightsInfo(
        model=ModelConfig(classes=3),
        classes=CLASSES,
        inference=InferenceConfig(short_px=short_px, long_px=long_px),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


def flag(height: int, width: int) -> np.ndarray:
    """An image whose left half is red and right half blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 255
    image[:, width // 2 :, 2] = 255
    return image
