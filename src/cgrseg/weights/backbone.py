"""Backbones that others trained on ImageNet, as starts of our networks.

    file -- their names -- ours -- attention tables resampled to our grid -- backbone of the network
            classifier left out

Everything of the file's backbone is taken as it is, LayerScale and BatchNorm's statistics too. Only the tables of the
attention bias belong to an image size: 7 x 7 keys for 224 pixels, where a network for 512 has 16 x 16. `stretch` gives
them the entries that a network with the file's own tables reads at our size (the nearest stays the nearest, the
farthest the farthest). So on images of `model.trained_px` the start computes exactly what the ImageNet network does.

Axes: heads; y x entries of a table, y_ x_ of ours.

From what a recipe says about its start to a network that has it.

start.backbone -- file, installed package, or the hub's -- SHA-256, compared -- backbone -- network
"""

import hashlib
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.config import AttentionTables, ModelConfig, ModelSize, StartConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import CGRSeg
from cgrseg.model.attention import stretch
from cgrseg.model.efficientnet import LITE2
from cgrseg.model.variants import PLANS, VARIANTS
from cgrseg.weights.foreign import LITE_PACKAGE, LITE_TIMM, TIMM, Naming, packaged_file, under_our_names
from cgrseg.weights.format import FORMAT, fill, read_metadata, read_tensors
from cgrseg.weights.hub import HUB_FILE, fetch, published_digest
from cgrseg.weights.official import AUTHORS, read_pickle

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
        raise CheckpointError(
            f"{path.name} holds a whole network, not a backbone alone",
            advice="start from it instead",
            setting="init",
        )
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
        f"{path.name} is a backbone alone ({given}), not a network that segments",
        advice=(f"train one that starts from it, with start.backbone={path} and model.size={given.size}"),
        setting="start.backbone",
    )


HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
IMAGENET = "imagenet"
"""What `start.backbone` calls the ImageNet weights of the network's own size."""
HUB: dict[ModelSize, str] = {
    "s0": "timm/efficientformerv2_s0.snap_dist_in1k",
    "t": "timm/efficientformerv2_s1.snap_dist_in1k",
    "b": "timm/efficientformerv2_s2.snap_dist_in1k",
    "l": "timm/efficientformerv2_l.snap_dist_in1k",
    "lite": "timm/tf_efficientnet_lite2.in1k",
}
"""Where the hub has them."""
EXTRA = "pip install 'cgrseg[imagenet]'"


def start_backbone(network: CGRSeg, model: ModelConfig, start: StartConfig) -> StartConfig:
    """Load the backbone that a recipe starts from, if it names one.

    Returns:
        The same with the SHA-256 of the file that was loaded.

    Raises:
        CheckpointError: the file is missing, is not the expected one, or does not fit the network.
    """
    if start.backbone is None:
        return start
    path = find_backbone(start.backbone, model.size)
    digest = _check_digest(path, start)
    given = read_backbone(path)
    if given.size != model.size:
        raise CheckpointError(
            f"{start.backbone} is an {BACKBONES[given.size]}, the backbone of size {given.size}, but "
            f"model.size is {model.size}",
            advice=(
                f"choose model.size={given.size} or start from an {BACKBONES[model.size]} such as {HUB[model.size]}"
            ),
        )
    fill_backbone(network.backbone, given, start.attention_tables)
    return replace(start, sha256=digest)


def find_backbone(source: str, size: ModelSize = "t") -> Path:
    """The file that `start.backbone` means: a path, the ImageNet weights of a size, or those of a hub id `owner/name`.

    Raises:
        CheckpointError: it is none of these, or the hub cannot be reached and its file is not in the cache.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if source == IMAGENET:
        return find_imagenet(size)
    if HUB_ID.fullmatch(source) and path.suffix not in SUFFIXES and not path.exists():
        return fetch(source, _without_network(size))
    raise CheckpointError(
        f"start.backbone: {source}: no such file, and no id of a hub repository such as {HUB[size]}",
        advice=f"{IMAGENET} means the ImageNet weights of model.size",
    )


def find_imagenet(size: ModelSize) -> Path:
    """The file of a size's ImageNet weights: of the installed package, else of the hub.

    Raises:
        CheckpointError: the package is not installed, and the hub cannot be reached.
    """
    packaged = packaged_file() if size == "lite" else None
    return packaged or fetch(HUB[size], _without_network(size))


def _without_network(size: ModelSize) -> str:
    package = f"{EXTRA} brings it; " if size == "lite" else ""
    return (
        f"{package}where there is no network, download {HUB_FILE} elsewhere, copy it and set "
        "start.backbone=its/path, or start.backbone= to start at random"
    )


def _check_digest(path: Path, start: StartConfig) -> str:
    """The SHA-256 of a file, which must be what the hub published and what the recipe says, where they say any."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    published = published_digest(path)
    if published is not None and published != digest:
        raise CheckpointError(
            f"{path} is damaged: the hub published the SHA-256 {published}, this file has {digest}",
            advice="delete it and what it links to, and it is fetched again",
        )
    if start.sha256 is not None and start.sha256.lower() != digest:
        raise CheckpointError(
            f"{start.backbone} has the SHA-256 {digest}, but start.sha256 is {start.sha256}: it is not the "
            "file that the recipe was run with",
            advice="find that one, or leave start.sha256 empty to take this one",
            setting="start.sha256",
        )
    return digest
