"""The EfficientFormerV2 authors' ImageNet files load under the names that their code has."""

from argparse import Namespace

import pytest
import torch
from support.reference import official_weights

from cgrseg.config import ModelConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import build_model
from cgrseg.weights import fill_backbone, open_weights, read_backbone
from cgrseg.weights.official import authors_name

CLASSIFIER = {
    "norm.weight": torch.ones(224),
    "head.bias": torch.zeros(1000),
    "dist_head.weight": torch.zeros(1000, 224),
}


@pytest.fixture(scope="module")
def whole():
    """CGRSeg-T in the naming of its authors, whose backbone keeps ImageNet's tables beside its own."""
    return official_weights("t")


@pytest.fixture(scope="module")
def imagenet(whole):
    """The same backbone as the file that CGRSeg's authors started from has it."""
    names = [name for name in whole if name.startswith("backbone.") and not name.endswith("_seg")]
    return {name.removeprefix("backbone."): whole[name] for name in names} | CLASSIFIER


@pytest.mark.parametrize(
    "wrap",
    [lambda tree: tree, lambda tree: {"model": tree, "epoch": 449, "args": Namespace(model="efficientformerv2_s1")}],
    ids=["plain", "of a training script"],
)
def test_a_file_gives_the_backbone_that_the_whole_network_has(wrap, whole, imagenet, tmp_path):
    torch.save(wrap(imagenet), tmp_path / "eformer_s1_450.pth")
    torch.save(whole, tmp_path / "whole.pth")
    backbone = build_model(ModelConfig(size="t", trained_px=224)).backbone

    given = read_backbone(tmp_path / "eformer_s1_450.pth")
    fill_backbone(backbone, given, "resampled")

    expected = open_weights(tmp_path / "whole.pth")[0].backbone.state_dict()
    filled = backbone.state_dict()
    tables = [name for name in filled if name.endswith("bias.table")]
    assert (given.size, given.naming.owner) == ("t", "the EfficientFormerV2 authors")
    assert len(tables) == 5
    assert all(torch.equal(filled[name], expected[name]) for name in filled if name not in tables)
    assert all(torch.equal(filled[name].flatten(1), imagenet[authors_name(name)]) for name in tables)


def test_tables_of_the_segmentation_network_are_not_taken_for_those_of_imagenet(whole, tmp_path):
    names = [name for name in whole if name.startswith("backbone.") and not name.endswith("_biases")]
    torch.save({name.removeprefix("backbone."): whole[name] for name in names}, tmp_path / "cut.pth")
    backbone = build_model(ModelConfig(size="t")).backbone

    with pytest.raises(CheckpointError, match=r"5 missing \(embeddings.2.attention.bias.table.*; 10 unexpected"):
        fill_backbone(backbone, read_backbone(tmp_path / "cut.pth"), "resampled")
