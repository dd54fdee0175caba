"""The EfficientFormerV2 authors' ImageNet checkpoints, `eformer_{s0,s1,s2,l}_450.pth`: their names for our tensors.

CGRSeg's released code took the backbone over with its names, so they are those of `official` without `backbone.`; only
the attention tables are called otherwise, for CGRSeg has tables of its own beside ImageNet's.
"""

import re

from cgrseg.weights.naming import Naming
from cgrseg.weights.official import official_name


def authors_name(name: str) -> str:
    """The EfficientFormerV2 authors' name of one of our backbone's tensors."""
    return official_name(f"backbone.{name}").removeprefix("backbone.").removesuffix("_seg")


AUTHORS = Naming(
    "the EfficientFormerV2 authors", authors_name, re.compile(r"^(norm|head|dist_head)\.|attention_bias_idxs$")
)
