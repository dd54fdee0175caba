"""The reference values of `golden/`: deterministic weights under the authors' names, inputs, and stored outputs.

The outputs were computed with the authors' own modules in float32 on a CPU, in eval mode, with 150 classes.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parent / "golden"
UNTRAINED = ("attention_bias_idxs", "num_batches_tracked")


def official_weights(size: str, strength: float = 1.0) -> dict[str, Tensor]:
    """A whole checkpoint of the authors for one size; `strength` multiplies scales and attention tables."""
    manifest = json.loads((GOLDEN / f"official_{size}.manifest.json").read_text())
    return {key: torch.from_numpy(fill(key, tuple(entry["shape"]), strength)) for key, entry in manifest.items()}


def timm_weights(version: str) -> dict[str, Tensor]:
    """A whole EfficientFormerV2 of timm, with its classifier, for 224 pixels."""
    manifest = json.loads((GOLDEN / f"timm_efficientformerv2_{version}.manifest.json").read_text())
    return {key: torch.from_numpy(fill(key, tuple(entry["shape"]))) for key, entry in manifest.items()}


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
