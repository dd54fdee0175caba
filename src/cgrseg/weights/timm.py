"""timm's EfficientFormerV2: its names for the tensors of our backbone.

`efficientformerv2_{s0,s1,s2,l}`, as safetensors on the Hugging Face hub or as a state dict that PyTorch pickled.
"""

import re

from cgrseg.weights.naming import Naming, rename

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
