"""Training transforms of an image and its labels: those of the paper's pipeline, which are mmsegmentation's.

    resize to fit (x random factor) -> random crop -> flip -> photometric distortion -> normalise -> pad

Every function is pure: arrays in, new arrays (or views) out, randomness as `rng`. Steps that map each 8-bit value on
its own are lookups in a table of 256 entries: the same numbers as the arithmetic, without images of floats.

Axes: H W rows and columns, H_new W_new those of the result where they differ.
"""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig
from cgrseg.data.images import resize_image, resize_labels
from cgrseg.types import IGNORE, Image, Size

CROP_TRIES = 10
"""Largest number of crops that are checked for a dominating class; the next is taken unchecked."""
BRIGHTNESS = 32.0
"""Largest shift of all channels, in 8-bit values."""
CONTRAST = (0.5, 1.5)
"""Range of the factor on all channels."""
SATURATION = (0.5, 1.5)
"""Range of the factor on the saturation."""
HUE = 18
"""The shift of the hue is -18..17, on OpenCV's scale 0..179."""

Bytes = UInt8[np.ndarray, "256"]
"""A lookup table: the new value for each 8-bit value."""

SAME = np.arange(256, dtype=np.uint8)
"""The identity table."""


def train_sample(
    image: Image, labels: UInt8[np.ndarray, "H W"], config: DataConfig, crop_px: Size, rng: np.random.Generator
) -> tuple[Float32[np.ndarray, "3 H_new W_new"], UInt8[np.ndarray, "H_new W_new"]]:
    """Apply all training transforms: a normalised image (3, height, width) and its labels, both of size `crop_px`."""
    size = fit_size(labels.shape, random_fit(config, rng))
    image, labels = resize_image(image, size), resize_labels(labels, size)
    image, labels = random_crop(image, labels, crop_px, config.crop_max_share, rng)
    if rng.random() < config.flip:
        image, labels = flip(image, labels)
    if config.photometric:
        image = photometric(image, rng)
    return pad(normalise(image, IMAGENET_MEAN, IMAGENET_STD), labels, crop_px)


def random_fit(config: DataConfig, rng: np.random.Generator) -> tuple[int, int]:
    """`fit_px` times a random factor, in whole pixels: (short side, long side)."""
    factor = rng.uniform(*config.scale)
    return int(config.fit_px[0] * factor), int(config.fit_px[1] * factor)


def fit_size(size: Size, fit_px: tuple[int, int]) -> Size:
    """The largest size of the same aspect whose short and long sides stay within `fit_px` (short, long)."""
    scale = min(fit_px[1] / max(size), fit_px[0] / min(size))
    height, width = (max(1, int(side * scale + 0.5)) for side in size)
    return height, width


def random_crop(
    image: Image, labels: UInt8[np.ndarray, "H W"], crop_px: Size, max_share: float, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "H_new W_new 3"], UInt8[np.ndarray, "H_new W_new"]]:
    """Crop at a random position, again while the crop is monotonous; a side shorter than the crop stays whole."""
    window = _random_window(labels.shape, crop_px, rng)
    for _ in range(CROP_TRIES):
        if not is_monotonous(labels[window], max_share):
            break
        window = _random_window(labels.shape, crop_px, rng)
    return image[window], labels[window]


def _random_window(size: Size, crop_px: Size, rng: np.random.Generator) -> tuple[slice, slice]:
    top, left = (int(rng.integers(max(side - crop, 0) + 1)) for side, crop in zip(size, crop_px, strict=True))
    return slice(top, top + crop_px[0]), slice(left, left + crop_px[1])


def is_monotonous(labels: UInt8[np.ndarray, "H W"], max_share: float) -> bool:
    """Whether fewer than two classes are present, or one holds `max_share` or more of the labelled pixels."""
    counts = np.bincount(labels.ravel(), minlength=256)[:IGNORE]
    return bool(np.count_nonzero(counts) < 2 or counts.max() / counts.sum() >= max_share)


def flip(image: Image, labels: UInt8[np.ndarray, "H W"]) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
    """Mirror both horizontally: left becomes right."""
    return cv2.flip(image, 1), cv2.flip(labels, 1)  # type: ignore[return-value]


def photometric(image: Image, rng: np.random.Generator) -> Image:
    """Random brightness, contrast, saturation and hue, each with probability 1/2; contrast comes second or last."""
    if _coin(rng):
        image = _map_values(image, linear(1.0, rng.uniform(-BRIGHTNESS, BRIGHTNESS)))
    is_contrast_last = _coin(rng)
    if not is_contrast_last and _coin(rng):
        image = _map_values(image, linear(rng.uniform(*CONTRAST), 0.0))
    if _coin(rng):
        image = _map_hsv(image, SAME, linear(rng.uniform(*SATURATION), 0.0))
    if _coin(rng):
        image = _map_hsv(image, shifted_hues(int(rng.integers(-HUE, HUE))), SAME)
    if is_contrast_last and _coin(rng):
        image = _map_values(image, linear(rng.uniform(*CONTRAST), 0.0))
    return image


def _coin(rng: np.random.Generator) -> bool:
    return bool(rng.integers(2))


def linear(factor: float, shift: float) -> Bytes:
    """The lookup table of value x factor + shift, clipped to 0..255 and rounded down."""
    values = np.arange(256, dtype=np.float32) * factor + shift
    return values.clip(0, 255).astype(np.uint8)


def shifted_hues(shift: int) -> Bytes:
    """The lookup table that shifts hues, 0..179, around the colour circle."""
    return ((np.arange(256) + shift) % 180).astype(np.uint8)


def _map_values(image: Image, table: Bytes) -> Image:
    return cv2.LUT(image, table)  # type: ignore[return-value]


def _map_hsv(image: Image, hues: Bytes, saturations: Bytes) -> Image:
    """Apply lookup tables to hue and saturation, by way of 8-bit HSV as in the paper's pipeline."""
    tables = np.stack([hues, saturations, SAME], axis=1)[:, None]  # (256, 1, 3)
    mapped = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables)
    return cv2.cvtColor(mapped, cv2.COLOR_HSV2RGB)  # type: ignore[return-value]


def normalise(
    image: Image, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Float32[np.ndarray, "3 H W"]:
    """Subtract the mean and divide by the deviation of each channel, on the scale 0..255; channels come first."""
    tables = ((np.arange(256)[:, None] - np.array(mean)) / np.array(std)).astype(np.float32)
    planes = np.empty((3, *image.shape[:2]), np.float32)
    for channel in range(3):
        cv2.LUT(cv2.extractChannel(image, channel), np.ascontiguousarray(tables[:, channel]), dst=planes[channel])
    return planes


def pad(
    image: Float32[np.ndarray, "3 H W"], labels: UInt8[np.ndarray, "H W"], size: Size
) -> tuple[Float32[np.ndarray, "3 H_new W_new"], UInt8[np.ndarray, "H_new W_new"]]:
    """Pad both to `size` at the right and the bottom: the image with 0, the labels with 255 = ignore."""
    if labels.shape == tuple(size):
        return image, labels
    padded, padded_labels = np.zeros((3, *size), np.float32), np.full(size, IGNORE, np.uint8)
    padded[:, : labels.shape[0], : labels.shape[1]] = image
    padded_labels[: labels.shape[0], : labels.shape[1]] = labels
    return padded, padded_labels
