import pickle
import re

import pytest
import torch
from support.reference import official_weights

from cgrseg.errors import CheckpointError
from cgrseg.weights import open_weights
from cgrseg.weights.official import UNUSED, official_name


@pytest.fixture(scope="module")
def weights():
    return official_weights("t")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tree: tree,
        lambda tree: {"state_dict": tree, "meta": {"epoch": 3}},
        lambda tree: {"model": tree},
        lambda tree: {"state_dict": {f"module.{name}": tensor for name, tensor in tree.items()}},
    ],
    ids=["plain", "state_dict", "model", "distributed"],
)
def test_the_authors_files_load_however_they_are_wrapped(wrap, weights, tmp_path):
    torch.save(wrap(weights), tmp_path / "authors.pth")

    model, info = open_weights(tmp_path / "authors.pth")

    assert (info.model.size, info.model.classes, info.model.position) == ("t", 150, "official")
    assert torch.equal(model.head.classifier.weight, weights["decode_head.conv_seg.weight"])


def test_every_name_of_ours_is_one_of_the_authors_and_none_is_left_over(weights, tmp_path):
    torch.save(weights, tmp_path / "authors.pth")
    model, _ = open_weights(tmp_path / "authors.pth")

    names = [official_name(name) for name in model.state_dict()]

    assert sorted(names) == sorted(name for name in weights if not UNUSED.search(name))


def test_missing_and_unknown_tensors_are_listed_by_the_names_in_the_file(weights, tmp_path):
    changed = {name: tensor for name, tensor in weights.items() if name != "decode_head.lgc.conv_mask.bias"}
    torch.save(changed | {"decode_head.extra": torch.zeros(1)}, tmp_path / "authors.pth")

    with pytest.raises(
        CheckpointError, match=re.escape("1 missing (head.gate.pool.bias); 1 unexpected (decode_head.ex")
    ):
        open_weights(tmp_path / "authors.pth")


class Evil:
    def __reduce__(self):
        return (print, ("loaded",))


@pytest.mark.parametrize("content", ["pickle", "text", "empty"])
def test_anything_but_plain_tensors_is_refused_unloaded(content, tmp_path, capsys):
    path = tmp_path / "evil.pth"
    path.write_bytes({"pickle": pickle.dumps(Evil()), "text": b"hello", "empty": b""}[content])

    with pytest.raises(CheckpointError, match=r"evil.pth cannot be read as plain tensors"):
        open_weights(path)

    assert capsys.readouterr().out == ""


def test_a_checkpoint_of_another_network_says_what_it_lacks(tmp_path):
    torch.save({"layer1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")

    with pytest.raises(CheckpointError, match=r"resnet.pth is not a CGRSeg of the authors"):
        open_weights(tmp_path / "resnet.pth")
