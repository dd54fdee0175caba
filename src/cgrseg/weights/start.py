"""From what a recipe says about its start to a network that has it.

start.backbone -- file, installed package, or the hub's -- SHA-256, compared -- backbone -- network
"""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from cgrseg.config import ModelConfig, ModelSize, StartConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import CGRSeg
from cgrseg.weights.backbone import BACKBONES, SUFFIXES, fill_backbone, read_backbone
from cgrseg.weights.efficientnet import packaged_file
from cgrseg.weights.hub import HUB_FILE, fetch, published_digest

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
        CheckpointError: there is no such file, it is not the one it should be, or it does not fit the network.
    """
    if start.backbone is None:
        return start
    path = find_backbone(start.backbone, model.size)
    digest = _check_digest(path, start)
    given = read_backbone(path)
    if given.size != model.size:
        raise CheckpointError(
            f"{start.backbone} is an {BACKBONES[given.size]}, the backbone of size {given.size}, but model.size is "
            f"{model.size}; choose --set model.size={given.size} or start from an {BACKBONES[model.size]} such as "
            f"{HUB[model.size]}"
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
        f"start.backbone: {source}: no such file, and no id of a hub repository such as {HUB[size]}; "
        f"{IMAGENET} means the ImageNet weights of model.size"
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
        f"{package}where there is no network, download {HUB_FILE} elsewhere, copy it and add --set "
        "start.backbone=its/path, or --set start.backbone= to start at random"
    )


def _check_digest(path: Path, start: StartConfig) -> str:
    """The SHA-256 of a file, which must be what the hub published and what the recipe says, where they say any."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    published = published_digest(path)
    if published is not None and published != digest:
        raise CheckpointError(
            f"{path} is damaged: the hub published the SHA-256 {published}, this file has {digest}; "
            "delete it and what it links to, and it is fetched again"
        )
    if start.sha256 is not None and start.sha256.lower() != digest:
        raise CheckpointError(
            f"{start.backbone} has the SHA-256 {digest}, but start.sha256 is {start.sha256}: it is not the file that "
            "the recipe was run with; find that one, or take this one with --set start.sha256="
        )
    return digest
