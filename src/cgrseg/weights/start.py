"""From what a recipe says about its start to a network that has it.

start.backbone -- file, or the hub's -- SHA-256, compared -- backbone -- network
"""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from cgrseg.config import ModelConfig, StartConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import CGRSeg
from cgrseg.weights.backbone import SUFFIXES, VERSIONS, fill_backbone, read_backbone
from cgrseg.weights.hub import HUB_FILE, fetch, published_digest

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
EXAMPLE = "timm/efficientformerv2_{}.snap_dist_in1k"


def start_backbone(network: CGRSeg, model: ModelConfig, start: StartConfig) -> StartConfig:
    """Load the backbone that a recipe starts from, if it names one.

    Returns:
        The same with the SHA-256 of the file that was loaded.

    Raises:
        CheckpointError: there is no such file, it is not the one it should be, or it does not fit the network.
    """
    if start.backbone is None:
        return start
    path = find_backbone(start.backbone)
    digest = _check_digest(path, start)
    given = read_backbone(path)
    if given.size != model.size:
        example = EXAMPLE.format(VERSIONS[model.size].lower())
        raise CheckpointError(
            f"{start.backbone} is an EfficientFormerV2-{VERSIONS[given.size]}, the backbone of size {given.size}, but "
            f"model.size is {model.size}; choose --set model.size={given.size} or start from an "
            f"EfficientFormerV2-{VERSIONS[model.size]} such as {example}"
        )
    fill_backbone(network.backbone, given, start.attention_tables)
    return replace(start, sha256=digest)


def find_backbone(source: str) -> Path:
    """The file that `start.backbone` means: a path, or the weights of a hub id `owner/name`.

    Raises:
        CheckpointError: it is neither, or the hub cannot be reached and its file is not in the cache.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if HUB_ID.fullmatch(source) and path.suffix not in SUFFIXES and not path.exists():
        return fetch(
            source,
            f"where there is no network, download {HUB_FILE} elsewhere, copy it and add --set start.backbone=its/path, "
            "or --set start.backbone= to start at random",
        )
    raise CheckpointError(
        f"start.backbone: {source}: no such file, and no id of a hub repository such as {EXAMPLE.format('s1')}"
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
