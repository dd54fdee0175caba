"""The protocols read literally: every window and every class at full size in PyTorch, as the authors' code has it."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


class RandomEngine:
    """Logits of 8 x 8 pixels by a random linear map; what lies beyond the photo is 0, as the network pads."""

    name, precision, metadata = "random", "fp32", {}

    def __init__(self, classes: int = 5) -> None:
        generator = torch.Generator().manual_seed(0)
        self.kernel = torch.randn(classes, 3, 8, 8, generator=generator) / 6
        self.calls: list[tuple[int, ...]] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.calls.append(images.shape)
        height, width = images.shape[2:]
        padded = F.pad(torch.from_numpy(images), (0, -width % 8, 0, -height % 8))
        return F.conv2d(padded, self.kernel, stride=8).numpy()


def probabilities(engine, image, info, *, factors=(1.0,), flips=(False,), window=None, stride=None) -> Tensor:
    """Mean probability of each class at each pixel of the photo, by the two steps of the authors' code."""
    total = [
        torch.softmax(_logits(engine, image, info, factor, is_flipped, window, stride), dim=1)
        for factor in factors
        for is_flipped in flips
    ]
    turned = [each.flip(3) if (place % len(flips)) else each for place, each in enumerate(total)]
    return torch.stack(turned).mean(dim=0)[0]


def _logits(engine, image, info, factor, is_flipped, window, stride) -> Tensor:
    photo = _resized(image, info, factor)
    seen = photo.shape[:2]
    if is_flipped:
        photo = photo[:, ::-1]
    x = torch.from_numpy(photo.astype(np.float32)).permute(2, 0, 1)[None]
    x = (x - torch.tensor(info.mean).view(3, 1, 1)) / torch.tensor(info.std).view(3, 1, 1)
    x = F.pad(x, (0, -seen[1] % 32, 0, -seen[0] % 32))
    logits = _at_input_size(engine, x) if window is None else _slide(engine, x, window, stride)
    return F.interpolate(logits[:, :, : seen[0], : seen[1]], image.shape[:2], mode="bilinear", align_corners=False)


def _resized(image, info, factor):
    short, long = int(info.inference.short_px * factor), int(info.inference.long_px * factor)
    scale = min(long / max(image.shape[:2]), short / min(image.shape[:2]))
    height, width = (int(side * scale + 0.5) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _at_input_size(engine, x) -> Tensor:
    logits = torch.from_numpy(engine(np.ascontiguousarray(x.numpy())))
    return F.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=False)


def _slide(engine, x, window, stride) -> Tensor:
    height, width = x.shape[2:]
    total = count = 0
    for row in range(max(height - window[0] + stride[0] - 1, 0) // stride[0] + 1):
        for column in range(max(width - window[1] + stride[1] - 1, 0) // stride[1] + 1):
            bottom, right = min(row * stride[0] + window[0], height), min(column * stride[1] + window[1], width)
            top, left = max(bottom - window[0], 0), max(right - window[1], 0)
            logits = _at_input_size(engine, x[:, :, top:bottom, left:right])
            around = (left, width - right, top, height - bottom)
            total = total + F.pad(logits, around)
            count = count + F.pad(torch.ones_like(logits[:, :1]), around)
    assert (count > 0).all()
    return total / count
