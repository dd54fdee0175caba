"""State dicts that PyTorch pickled: read with its restricted reader, which runs nothing that a file says.

The authors' checkpoints: their names for our tensors, in both directions.

The authors' files hold `backbone.*` and `decode_head.*`, plain or below `state_dict` or `model`.

The EfficientFormerV2 authors' ImageNet checkpoints, `eformer_{s0,s1,s2,l}_450.pth`: their names for our tensors.

CGRSeg's released code took the backbone over with its names, so they are those of `official` without `backbone.`; only
the attention tables are called otherwise, for CGRSeg has tables of its own beside ImageNet's.
"""

import argparse
import re
import warnings
from pathlib import Path

import torch
from torch import Tensor

from cgrseg.classes import ClassTable, named
from cgrseg.config import ModelConfig, ModelSize
from cgrseg.errors import CheckpointError, reason
from cgrseg.model import CGRSeg, build_model
from cgrseg.model.variants import PLANS
from cgrseg.weights.foreign import Naming, rename, under_our_names
from cgrseg.weights.format import WeightsInfo, fill

HARMLESS = argparse.Namespace
"""The options of a run, which training scripts keep beside the tensors: a bag of values."""


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth` file by name, plain or below `state_dict` or `model`.

    Raises:
        CheckpointError: the file holds anything but plain tensors, or none.
    """
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([HARMLESS]):
            tree = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  a damaged pickle raises anything
        raise CheckpointError(
            f"{path.name} cannot be read as plain tensors (nothing else is ever loaded): {reason(error)}"
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(tree, dict) and isinstance(tree.get(wrapper), dict):
            tree = tree[wrapper]
    if not isinstance(tree, dict) or not all(isinstance(value, Tensor) for value in tree.values()):
        raise CheckpointError(f"{path.name} holds no state dict of tensors, plain or under 'state_dict' or 'model'")
    return {name.removeprefix("module."): tensor for name, tensor in tree.items()}


RENAMES = (
    (r"backbone\.stem\.([02])\.conv", lambda m: f"backbone.patch_embed.{int(m[1]) // 2 * 3}"),
    (r"backbone\.stem\.([02])\.norm", lambda m: f"backbone.patch_embed.{int(m[1]) // 2 * 3 + 1}"),
    (r"backbone\.stages\.(\d)", lambda m: f"backbone.network.{int(m[1]) * 2}"),
    (r"backbone\.embeddings\.2\.conv\.conv", "backbone.network.5.conv"),
    (r"backbone\.embeddings\.2\.conv\.norm", "backbone.network.5.bn"),
    (r"backbone\.embeddings\.2\.attention", "backbone.network.5.attn"),
    (r"backbone\.embeddings\.(\d)\.conv", lambda m: f"backbone.network.{int(m[1]) * 2 + 1}.proj"),
    (r"backbone\.embeddings\.(\d)\.norm", lambda m: f"backbone.network.{int(m[1]) * 2 + 1}.norm"),
    (r"(network\.\d\.\d+)\.attention\.0", r"\1.token_mixer"),
    (r"(network\.\d\.\d+)\.attention\.1\.factor", r"\1.layer_scale_1"),
    (r"(network\.\d\.\d+)\.mlp\.1\.factor", r"\1.layer_scale_2"),
    (r"\.mlp\.0\.expand\.conv", ".mlp.fc1"),
    (r"\.mlp\.0\.expand\.norm", ".mlp.norm1"),
    (r"\.mlp\.0\.local\.conv", ".mlp.mid"),
    (r"\.mlp\.0\.local\.norm", ".mlp.mid_norm"),
    (r"\.mlp\.0\.project\.conv", ".mlp.fc2"),
    (r"\.mlp\.0\.project\.norm", ".mlp.norm2"),
    (r"\.bias\.table$", ".attention_biases_seg"),
    (r"\.talk_before\.", ".talking_head1."),
    (r"\.talk_after\.", ".talking_head2."),
    (r"(attn)\.query_local\.", r"\1.q.local.0."),
    (r"(attn)\.query\.conv", r"\1.q.proj.0"),
    (r"(attn)\.query\.norm", r"\1.q.proj.1"),
    (r"(token_mixer|attn)\.project\.1\.conv", r"\1.proj.1"),
    (r"(token_mixer|attn)\.project\.1\.norm", r"\1.proj.2"),
    (r"token_mixer\.reduce", "token_mixer.stride_conv"),
    (r"(token_mixer|attn)\.query", r"\1.q"),
    (r"(token_mixer|attn)\.key", r"\1.k"),
    (r"(token_mixer|attn)\.value", r"\1.v"),
    (r"(token_mixer|attn)\.local", r"\1.v_local"),
    (r"((?:token_mixer|attn)\.\w+)\.conv", r"\1.0"),
    (r"((?:token_mixer|attn)\.\w+)\.norm", r"\1.1"),
    (r"^pyramid\.rcms", "decode_head.trans.transformer_blocks"),
    (r"^reconstruct\.rcms", "decode_head.meta"),
    (r"^reconstruct\.merges", "decode_head.conv"),
    (r"^reconstruct\.fuses\.(\d)\.detail\.(conv|norm)", lambda m: f"decode_head.SIM.{m[1]}.fuse1.{BN.get(m[2], m[2])}"),
    (
        r"^reconstruct\.fuses\.(\d)\.context\.(conv|norm)",
        lambda m: f"decode_head.SIM.{m[1]}.fuse2.{BN.get(m[2], m[2])}",
    ),
    (r"^(decode_head.*)\.attention\.local", r"\1.token_mixer.dwconv_hw"),
    (r"^(decode_head.*)\.attention\.calibrate", r"\1.token_mixer.excite"),
    (r"^(decode_head.*)\.mlp\.0", r"\1.mlp.fc1"),
    (r"^(decode_head.*)\.mlp\.2", r"\1.mlp.fc2"),
    (r"^(decode_head.*)\.scale\.factor", r"\1.gamma"),
    (r"^head\.classifier", "decode_head.conv_seg"),
    (r"^head\.guess\.0\.conv", "decode_head.linear_fuse.conv"),
    (r"^head\.guess\.0\.norm", "decode_head.linear_fuse.bn"),
    (r"^head\.gate\.pool", "decode_head.lgc.conv_mask"),
    (r"^head\.gate\.excite", "decode_head.lgc.channel_mul_conv"),
)
"""Applied in order to one of our names; together they give the authors' name of the same tensor."""

BN = {"norm": "bn"}

UNUSED = re.compile(r"attention_biases$|attention_bias_idxs(_seg)?$")
"""The authors' tensors that nothing reads: ImageNet's tables, and index buffers that follow from the grid."""


def official_name(name: str) -> str:
    """The authors' name of one of our tensors."""
    return rename(name, RENAMES)


def read_official(path: Path, classes: ClassTable | None) -> tuple[CGRSeg, WeightsInfo]:
    """The network of one of the authors' `.pth` files, in eval mode, with `position="official"`.

    Raises:
        CheckpointError: not such a file, or its tensors are those of no size.
    """
    tensors = {name: tensor for name, tensor in read_pickle(path).items() if not UNUSED.search(name)}
    size, rows = _infer(tensors, path.name)
    table = classes or named(tuple(f"class {label}" for label in range(rows)))
    config = ModelConfig(size=size, classes=rows, position="official")
    model = build_model(config)
    fill(model, under_our_names(model.state_dict(), tensors, official_name), path.name)
    return model.eval(), WeightsInfo(model=config, classes=table)


def _infer(tensors: dict[str, Tensor], name: str) -> tuple[ModelSize, int]:
    """The size whose stem, depth and classifier these are, and the number of classes."""
    classifier = tensors.get("decode_head.conv_seg.weight")
    if classifier is None or "backbone.patch_embed.0.weight" not in tensors:
        raise CheckpointError(
            f"{name} is not a CGRSeg of the authors: it lacks backbone.patch_embed or decode_head.conv_seg"
        )
    for size, plan in PLANS.items():
        last = f"backbone.network.6.{len(plan.expansions[3]) - 1}.mlp.fc2.bias"
        if last in tensors and tensors[last].shape[0] == plan.widths[3]:
            return size, classifier.shape[0]
    raise CheckpointError(f"{name} has the widths of none of the sizes {', '.join(PLANS)}")


def authors_name(name: str) -> str:
    """The EfficientFormerV2 authors' name of one of our backbone's tensors."""
    return official_name(f"backbone.{name}").removeprefix("backbone.").removesuffix("_seg")


AUTHORS = Naming(
    "the EfficientFormerV2 authors", authors_name, re.compile(r"^(norm|head|dist_head)\.|attention_bias_idxs$")
)
