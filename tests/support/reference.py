"""The reference values of `golden/`: deterministic weights under the authors' names, inputs, and stored outputs.

The outputs were computed with the authors' own modules in float32 on a CPU, in eval mode, with 150 classes.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[1] / "golden"
UNTRAINED = ("attention_bias_idxs", "num_batches_tracked")

LITE2 = (  # repeats, kernel, stride, expansion, width
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 48),
    (4, 3, 2, 6, 88),
    (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208),
    (1, 3, 1, 6, 352),
)
"""The table of EfficientNet-Lite2, after a stem of 32 channels."""


def official_weights(size: str, strength: float = 1.0) -> dict[str, Tensor]:
    """A whole checkpoint of the authors for one size; `strength` multiplies scales and attention tables."""
    manifest = json.loads((GOLDEN / f"official_{size}.manifest.json").read_text())
    return {key: torch.from_numpy(fill(key, tuple(entry["shape"]), strength)) for key, entry in manifest.items()}


def timm_weights(version: str) -> dict[str, Tensor]:
    """A whole EfficientFormerV2 of timm, with its classifier, for 224 pixels."""
    manifest = json.loads((GOLDEN / f"timm_efficientformerv2_{version}.manifest.json").read_text())
    return {key: torch.from_numpy(fill(key, tuple(entry["shape"]))) for key, entry in manifest.items()}


def lite_weights(strength: float = 1.0) -> dict[str, Tensor]:
    """A whole EfficientNet-Lite2 in the naming of the package that brings it, with its classifier.

    `strength` multiplies the norms before each ReLU6; by the rule alone no value comes near six.
    """
    shapes = _conv_norm("_conv_stem", "_bn0", 32, 3, 3)
    width, place = 32, 0
    for repeats, kernel, _, expansion, outputs in LITE2:
        for _ in range(repeats):
            block, hidden = f"_blocks.{place}", width * expansion
            if expansion > 1:
                shapes |= _conv_norm(f"{block}._expand_conv", f"{block}._bn0", hidden, width, 1)
            shapes |= _conv_norm(f"{block}._depthwise_conv", f"{block}._bn1", hidden, 1, kernel)
            shapes |= _conv_norm(f"{block}._project_conv", f"{block}._bn2", outputs, hidden, 1)
            width, place = outputs, place + 1
    shapes |= _conv_norm("_conv_head", "_bn1", 1280, width, 1) | {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}
    weights = {key: torch.from_numpy(fill(key, shape)) for key, shape in shapes.items()}
    scaled = {key: strength * value for key, value in weights.items() if key.endswith(("_bn0.weight", "_bn1.weight"))}
    return weights | scaled


def _conv_norm(conv: str, norm: str, outputs: int, inputs: int, kernel: int) -> dict[str, tuple[int, ...]]:
    leaves = ("weight", "bias", "running_mean", "running_var")
    return {
        f"{conv}.weight": (outputs, inputs, kernel, kernel),
        **{f"{norm}.{leaf}": (outputs,) for leaf in leaves},
        f"{norm}.num_batches_tracked": (),
    }


def fill(key: str, shape: tuple[int, ...], strength: float = 1.0) -> np.ndarray:  # noqa: PLR0911  one return a line of the rule
    """The values of one tensor, a function of its name and shape alone."""
    leaf = key.rsplit(".", 1)[-1]
    if leaf.startswith(UNTRAINED):
        return np.zeros(shape, np.int64)
    values = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype(np.float32)
    tenth, one = np.float32(0.1), np.float32(1)
    if leaf == "running_var":
        return np.abs(values) * tenth + one
    if leaf == "running_mean":
        return values * tenth
    if leaf.startswith("attention_biases"):
        return values * np.float32(0.2) * np.float32(strength)
    if leaf == "gamma" or leaf.startswith("layer_scale"):
        return (tenth + np.float32(0.01) * values) * np.float32(strength)
    if leaf == "bias":
        return values * np.float32(0.05)
    if len(shape) == 1 or shape[1:] == (1, 1):
        return one + tenth * values
    return values * np.float32(np.sqrt(2 / np.prod(shape[1:])) * 0.7)


def fill_lite(model: nn.Module) -> nn.Module:
    """A network of size lite with values by the rule, under our names, and logits that depend on the image."""
    for name, tensor in model.state_dict().items():
        tensor.copy_(torch.from_numpy(fill(name, tuple(tensor.shape))))
        if name.startswith("backbone.") and name.endswith("norm.weight"):
            tensor.mul_(1.2)  # by the rule alone little of the image is left after so many blocks
    return model.eval()


def normal_image(*shape: int) -> Tensor:
    """The input of that shape, (b, 3, H, W)."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def outputs_of(model: nn.Module, parts: dict[str, str], image: Tensor) -> dict[str, Tensor]:
    """What the named parts of a network (`{label: module path}`) give for an image, the last call of each."""
    seen = {}
    hooks = [
        model.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, label=label: seen.__setitem__(label, output)
        )
        for label, path in parts.items()
    ]
    with torch.inference_mode():
        seen["logits"] = model(image)
    for hook in hooks:
        hook.remove()
    return seen
