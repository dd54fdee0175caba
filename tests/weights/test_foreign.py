"""timm's EfficientFormerV2 gives, in our backbone, the features that it gives in timm."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support.reference import GOLDEN, normal_image, outputs_of, timm_weights

from cgrseg.config import ModelConfig
from cgrseg.model import build_model
from cgrseg.model.efficientformer import BackbonePlan
from cgrseg.model.variants import PLANS
from cgrseg.weights import fill_backbone, read_backbone
from cgrseg.weights.foreign import TIMM, timm_name

SIZES = {"s0": "s0", "s1": "t", "s2": "b", "l": "l"}
STAGES = {f"stage{stage}": f"backbone.stages.{stage}" for stage in range(4)}


def features(path, size: str, tables: str = "resampled", trained_px: int = 224) -> dict[str, np.ndarray]:
    """What the stages give for the reference image when started from a file."""
    network = build_model(ModelConfig(size=size, trained_px=trained_px)).eval()
    fill_backbone(network.backbone, read_backbone(path), tables)
    seen = outputs_of(network, STAGES, normal_image(1, 3, 224, 224))
    return {stage: seen[stage].numpy() for stage in STAGES}


def greatest_error(found: dict[str, np.ndarray], version: str) -> float:
    """The largest difference from the stored values, as a part of the tensor's largest (or of one)."""
    stored, errors = np.load(GOLDEN / f"timm_efficientformerv2_{version}.npz"), []
    for stage, x in found.items():
        values = {"chmean": x.mean((2, 3)), "chstd": x.std((2, 3)), "slice": x[:, :8, :6, :6]}
        differences = [np.abs(value - stored[f"{stage}__{name}"]).max() for name, value in values.items()]
        errors += [difference / max(1, np.abs(x).max()) for difference in differences]
    errors.append(np.abs(found["stage3"] - stored["stage3_full"]).max() / max(1, np.abs(found["stage3"]).max()))
    assert len(errors) == 13
    return max(errors)


@pytest.mark.parametrize("version", ["s0", "s1", "s2"])
def test_the_features_of_all_stages_are_those_of_timm(version, tmp_path):
    save_file(timm_weights(version), tmp_path / "model.safetensors")

    found = features(tmp_path / "model.safetensors", SIZES[version])

    assert greatest_error(found, version) < 2e-5


def test_the_stored_features_would_show_a_wrong_table(imagenet_s0, tmp_path):
    weights = timm_weights("s0")
    tables = {name: tensor for name, tensor in weights.items() if name.endswith("attention_biases")}
    sides = {name: int(tensor.shape[1] ** 0.5) for name, tensor in tables.items()}
    turned = {name: tensor.view(8, sides[name], -1).mT.reshape(8, -1) for name, tensor in tables.items()}
    save_file(weights | {name: tensor.contiguous() for name, tensor in turned.items()}, tmp_path / "turned.safetensors")

    assert greatest_error(features(imagenet_s0, "s0", tables="zero"), "s0") > 2e-4
    assert greatest_error(features(tmp_path / "turned.safetensors", "s0"), "s0") > 2e-4


@pytest.mark.parametrize("name", ["model.pth", "pytorch_model.bin"])
def test_state_dicts_that_pytorch_pickled_are_the_same(name, imagenet_s0, tmp_path):
    torch.save(timm_weights("s0"), tmp_path / name)

    one, other = read_backbone(tmp_path / name), read_backbone(imagenet_s0)

    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(tensor, other.tensors[key]) for key, tensor in one.tensors.items())


class Published:
    """Every name and shape of an EfficientFormerV2 of timm, from its plan, without our network and its renames."""

    def __init__(self, plan: BackbonePlan) -> None:
        self.shapes: dict[str, list[int]] = {}
        self.conv_norm("stem.conv1", plan.widths[0] // 2, 3, 3)
        self.conv_norm("stem.conv2", plan.widths[0], plan.widths[0] // 2, 3)
        for stage, width in enumerate(plan.widths):
            if stage:
                self.conv_norm(f"stages.{stage}.downsample.conv", width, plan.widths[stage - 1], 3)
            for place, expansion in enumerate(plan.expansions[stage]):
                self.block(f"stages.{stage}.blocks.{place}", width, expansion, plan.attends(stage, place), stage == 2)
        self.downsampling("stages.3.downsample.attn", *plan.widths[2:])
        self.norm("norm", plan.widths[3])
        for head in ("head", "head_dist"):
            self.shapes |= {f"{head}.weight": [1000, plan.widths[3]], f"{head}.bias": [1000]}

    def conv(self, name, outputs, inputs, kernel=1):
        self.shapes |= {f"{name}.weight": [outputs, inputs, kernel, kernel], f"{name}.bias": [outputs]}

    def norm(self, name, width):
        self.shapes |= {f"{name}.{part}": [width] for part in ("weight", "bias", "running_mean", "running_var")}
        self.shapes[f"{name}.num_batches_tracked"] = []

    def conv_norm(self, name, outputs, inputs, kernel=1):
        self.conv(f"{name}.conv", outputs, inputs, kernel)
        self.norm(f"{name}.bn", outputs)

    def block(self, name, width, expansion, attends, reduces):
        if attends:
            self.attention(f"{name}.token_mixer", width, width, key=32, value=128, table=49)
            self.conv_norm(f"{name}.token_mixer.q", 256, width)
            self.conv(f"{name}.token_mixer.talking_head1", 8, 8)
            self.conv(f"{name}.token_mixer.talking_head2", 8, 8)
            self.shapes[f"{name}.ls1.gamma"] = [width]
        if attends and reduces:
            self.conv_norm(f"{name}.token_mixer.stride_conv", width, 1, 3)
        self.conv_norm(f"{name}.mlp.fc1", expansion * width, width)
        self.conv_norm(f"{name}.mlp.mid", expansion * width, 1, 3)
        self.conv_norm(f"{name}.mlp.fc2", width, expansion * width)
        self.shapes[f"{name}.ls2.gamma"] = [width]

    def attention(self, name, inputs, outputs, *, key, value, table):
        self.shapes[f"{name}.attention_biases"] = [8, table]
        self.conv_norm(f"{name}.k", 8 * key, inputs)
        self.conv_norm(f"{name}.v", 8 * value, inputs)
        self.conv_norm(f"{name}.v_local", 8 * value, 1, 3)
        self.conv_norm(f"{name}.proj", outputs, 8 * value)

    def downsampling(self, name, inputs, outputs):
        self.attention(name, inputs, outputs, key=16, value=64, table=196)
        self.conv(f"{name}.q.local", inputs, 1, 3)
        self.conv_norm(f"{name}.q.proj", 128, inputs)


def shapes(size: str) -> dict[str, list[int]]:
    return Published(PLANS[size]).shapes


@pytest.mark.parametrize("version", ["s0", "s1", "s2"])
def test_the_plan_of_a_size_gives_the_names_and_shapes_that_timm_publishes(version):
    manifest = json.loads((GOLDEN / f"timm_efficientformerv2_{version}.manifest.json").read_text())

    assert shapes(SIZES[version]) == {name: entry["shape"] for name, entry in manifest.items()}


@pytest.mark.parametrize("size", ["s0", "t", "b", "l"])
def test_every_tensor_of_the_backbone_has_one_of_timm_and_only_the_classifier_is_left_out(size):
    theirs = shapes(size)
    with torch.device("meta"):
        ours = build_model(ModelConfig(size=size, trained_px=224)).backbone.state_dict()

    names = {timm_name(name): tensor for name, tensor in ours.items()}

    left_out = theirs.keys() - names.keys()
    assert len(names) == len(ours)
    assert names.keys() <= theirs.keys()
    assert {name.split(".")[0] for name in left_out} == {"norm", "head", "head_dist"}
    assert all(TIMM.unused.search(name) for name in left_out)
    assert not [name for name in names if TIMM.unused.search(name)]
    assert all(tensor.numel() == np.prod(theirs[name]) for name, tensor in names.items())


def test_a_file_of_the_largest_fills_our_largest(tmp_path):
    counters = {name: torch.int64 for name in shapes("l") if name.endswith("num_batches_tracked")}
    tensors = {name: torch.zeros((), dtype=counters.get(name)).expand(shape) for name, shape in shapes("l").items()}
    torch.save(tensors, tmp_path / "l.pth")  # which stores what is repeated once
    with torch.device("meta"):
        network = build_model(ModelConfig(size="l"))

    given = read_backbone(tmp_path / "l.pth")
    with pytest.warns(UserWarning, match="is a no-op"):  # of meta tensors, by PyTorch; every name and shape has passed
        fill_backbone(network.backbone, given, "resampled")

    assert (given.size, str(given)) == ("l", "EfficientFormerV2-L, in the naming of timm")
