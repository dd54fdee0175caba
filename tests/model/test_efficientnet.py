"""EfficientNet-Lite2 in our backbone, held against the architecture written out over the package's own names."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.reference import LITE2, lite_weights
from torch import Tensor
from torch.nn import functional as F

from cgrseg.config import ModelConfig
from cgrseg.model import build_model
from cgrseg.weights import fill_backbone, read_backbone

MEAN, STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
TAPS = (2, 4, 6)


def same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of one side, before and after."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def symmetric(_side: int, kernel: int, _stride: int) -> tuple[int, int]:
    """PyTorch's usual padding."""
    return kernel // 2, kernel // 2


def read_literally(
    weights: dict[str, Tensor], values: Tensor, pad=same, eps=1e-3, act=F.relu6, offset=127.0
) -> list[Tensor]:
    """Features at strides 8, 16 and 32 of values 0..255; the defaults are the architecture's."""

    def conv(x: Tensor, name: str, norm: str, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"].double()
        groups = x.shape[1] // kernel.shape[1]
        rows, columns = (pad(side, kernel.shape[2], stride) for side in x.shape[2:])
        x = F.conv2d(F.pad(x, (*columns, *rows)), kernel, stride=stride, groups=groups)
        weight, bias, mean, variance = (
            weights[f"{norm}.{leaf}"].double()[:, None, None]
            for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / torch.sqrt(variance + eps) * weight + bias

    x = act(conv((values - offset) / 128, "_conv_stem", "_bn0", stride=2))
    features, place = [], 0
    for row, (repeats, _, stride, expansion, _) in enumerate(LITE2):
        for index in range(repeats):
            block, before = f"_blocks.{place}", x
            if expansion > 1:
                x = act(conv(x, f"{block}._expand_conv", f"{block}._bn0"))
            x = act(conv(x, f"{block}._depthwise_conv", f"{block}._bn1", stride if index == 0 else 1))
            x = conv(x, f"{block}._project_conv", f"{block}._bn2")
            x = x + before if x.shape == before.shape else x
            place += 1
        if row in TAPS:
            features.append(x)
    return features


@pytest.fixture(scope="module")
def values() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (2, 3, 96, 160)))


def ours(weights: dict[str, Tensor], values: Tensor, folder: Path) -> list[Tensor]:
    """What our backbone makes of values 0..255 when it is started from a file of these weights."""
    torch.save(weights, folder / "lite2.pth")
    backbone = build_model(ModelConfig(size="lite", classes=3)).backbone.double().eval()
    fill_backbone(backbone, read_backbone(folder / "lite2.pth"), "resampled")
    with torch.inference_mode():
        return backbone((values - MEAN[:, None, None]) / STD[:, None, None])


def worst(given: list[Tensor], expected: list[Tensor]) -> float:
    """The largest difference, as a part of a feature map's largest value (or of one)."""
    return max(
        float((one - other).abs().max()) / max(1.0, float(other.abs().max()))
        for one, other in zip(given, expected, strict=True)
    )


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_the_features_are_those_of_the_architecture_written_out(strength, values, tmp_path):
    weights = lite_weights(strength)

    given, expected = ours(weights, values, tmp_path), read_literally(weights, values)

    assert [tuple(feature.shape) for feature in given] == [(2, 48, 12, 20), (2, 120, 6, 10), (2, 352, 3, 5)]
    assert worst(given, expected) < 5e-5


def test_the_bound_would_show_a_wrong_detail(values):
    weights = lite_weights(strength=3.0)
    mistakes = {
        "symmetric padding": {"pad": symmetric},
        "another eps": {"eps": 1e-5},
        "ReLU": {"act": F.relu},
        "another offset": {"offset": 127.5},
    }

    right = read_literally(weights, values)
    errors = {name: worst(read_literally(weights, values, **wrong), right) for name, wrong in mistakes.items()}

    assert min(errors.values()) > 5e-4, errors
