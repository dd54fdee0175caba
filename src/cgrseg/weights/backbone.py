"""Backbones that others trained on ImageNet, as starts of our networks.

    file -- their names -- ours -- attention tables resampled to our grid -- backbone of the network
            classifier left out

Everything of the file's backbone is taken as it is, LayerScale and BatchNorm's statistics too. Only the tables of the
attention bias belong to a picture size: 7 x 7 keys for 224 pixels, where a network for 512 has 16 x 16. `stretch` gives
them the entries that a network with the file's own tables reads at our size (the nearest stays the nearest, the
farthest the farthest). So on pictures of `model.trained_px` the start computes exactly what the ImageNet network does.

Axes: heads; y x entries of a table, y_ x_ of ours.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.config import AttentionTables, ModelSize
from cgrseg.errors import CheckpointError
from cgrseg.model.efficientnet import LITE2
from cgrseg.model.position import stretch
from cgrseg.model.variants import PLANS, VARIANTS
from cgrseg.weights.checkpoint import fill, read_metadata, read_tensors
from cgrseg.weights.efficientformer import AUTHORS
from cgrseg.weights.efficientnet import LITE_PACKAGE, LITE_TIMM
from cgrseg.weights.info import FORMAT
from cgrseg.weights.naming import Naming, under_our_names
from cgrseg.weights.pickled import read_pickle
from cgrseg.weights.timm import TIMM

NAMINGS = (TIMM, AUTHORS, LITE_PACKAGE, LITE_TIMM)
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
BACKBONES: dict[ModelSize, str] = {
    "s0": "EfficientFormerV2-S0",
    "t": "EfficientFormerV2-S1",
    "b": "EfficientFormerV2-S2",
    "l": "EfficientFormerV2-L",
    "lite": "EfficientNet-Lite2",
}
"""The backbone of each of our sizes."""


@dataclass(frozen=True)
class Backbone:
    """A backbone that others trained, under their names."""

    name: str
    """What errors call its file."""
    naming: Naming
    size: ModelSize
    """Our size whose backbone it is."""
    tensors: dict[str, Tensor]
    """Without those of its classifier."""

    def __str__(self) -> str:
        return f"{BACKBONES[self.size]}, in the naming of {self.naming.owner}"


def read_backbone(path: Path) -> Backbone:
    """The backbone in a file of timm's, of its authors or of the package that brings it.

    Raises:
        CheckpointError: the file cannot be read, holds a whole network, or no backbone of one of our sizes.
    """
    if path.suffix == ".safetensors":
        is_ours = read_metadata(path).get("format") == FORMAT
        tensors = read_tensors(path)
    else:
        tensors, is_ours = read_pickle(path), False
    if is_ours or any(name.startswith("decode_head.") for name in tensors):
        raise CheckpointError(f"{path.name} holds a whole network, not a backbone alone; start from it with --init")
    naming = next((naming for naming in NAMINGS if naming.theirs(naming.stem) in tensors), None)
    if naming is None:
        stems = " or ".join(f"{naming.theirs(naming.stem)} ({naming.owner})" for naming in NAMINGS)
        raise CheckpointError(f"{path.name} is neither EfficientFormerV2 nor EfficientNet-Lite2: it has no {stems}")
    return Backbone(
        path.name,
        naming,
        _infer(tensors, naming, path.name),
        {name: tensor for name, tensor in tensors.items() if not naming.unused.search(name)},
    )


def _infer(tensors: dict[str, Tensor], naming: Naming, name: str) -> ModelSize:
    """The size with this depth and width of the last stage."""
    for size, ours in _last_biases(naming).items():
        last = naming.theirs(ours)
        if last in tensors and tensors[last].shape[0] == VARIANTS[size].widths[-1]:
            return size
    raise CheckpointError(f"{name} is none of the backbones {', '.join(BACKBONES.values())}: other depths or widths")


def _last_biases(naming: Naming) -> dict[ModelSize, str]:
    """For each size that a naming is for, our name of a tensor whose place and length tell it from the others."""
    if naming in (LITE_PACKAGE, LITE_TIMM):
        return {"lite": f"stages.{len(LITE2) - 1}.{LITE2[-1].repeats - 1}.project.norm.bias"}
    return {size: f"stages.3.{len(plan.expansions[3]) - 1}.mlp.0.project.conv.bias" for size, plan in PLANS.items()}


def fill_backbone(network: nn.Module, given: Backbone, tables: AttentionTables) -> None:
    """Load a backbone of others into ours, of the same size.

    Raises:
        CheckpointError: one error that lists missing, unexpected and misshapen tensors.
    """
    wanted = network.state_dict()
    tensors = under_our_names(wanted, given.tensors, given.naming.theirs)
    for name, own in wanted.items():
        if name.endswith(".bias.table") and name in tensors:
            tensors[name] = _fit_table(tensors[name], own, tables)
    fill(network, tensors, given.name)


def _fit_table(
    given: Float[Tensor, "heads *entries"], own: Float[Tensor, "heads y_ x_"], tables: AttentionTables
) -> Float[Tensor, "..."]:
    """A table for our grid; one that is not square stays as it is, for `fill` to name."""
    side = math.isqrt(given[0].numel())
    if side**2 != given[0].numel():
        return given
    if tables == "zero":
        return torch.zeros_like(own)
    square = given.float().reshape(-1, side, side)
    return stretch(stretch(square, own.shape[1], axis=1), own.shape[2], axis=2)


def refuse_backbone(path: Path) -> None:
    """Say what to do with a backbone where a whole network is needed; do nothing about any other file.

    Raises:
        CheckpointError: the file is a backbone alone.
    """
    try:
        given = read_backbone(path)
    except CheckpointError:
        return
    raise CheckpointError(
        f"{path.name} is a backbone alone ({given}), not a network that segments; train one from it with "
        f"cgrseg train RECIPE --set start.backbone={path}, where model.size is {given.size}"
    )
