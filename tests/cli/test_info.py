import json

import yaml

from cgrseg.classes import named
from cgrseg.config import ModelConfig
from cgrseg.model import build_model
from cgrseg.weights import WeightsInfo, save_weights


def test_info_says_what_the_file_holds(run, weights):
    result = run("info", weights)

    told = yaml.safe_load(result.out)
    assert told["model"]["size"] == "s0"
    assert told["classes"] == ["sky", "road", "car"]
    assert told["scores"] == {"val/miou": 0.5}
    assert int(told["parameters"].replace(",", "")) > 3_000_000


def test_info_writes_the_same_as_json(run, weights, tmp_path):
    run("info", weights, "--json", tmp_path / "deep" / "info.json")

    told = json.loads((tmp_path / "deep" / "info.json").read_text())
    assert told["model"]["classes"] == 3
    assert told["classes"]["names"] == ["sky", "road", "car"]
    assert told["inference"] == {"short_px": 64, "long_px": 2048}


def test_info_of_a_network_without_attention_tells_no_setting_of_attention(run, tmp_path):
    config = ModelConfig(size="lite", classes=3)
    file = tmp_path / "lite.safetensors"
    save_weights(file, build_model(config), WeightsInfo(model=config, classes=named(("a", "b", "c"))))

    told = yaml.safe_load(run("info", file).out)

    assert told["model"] == {"size": "lite", "classes": 3, "batch_norm": "trained", "rcm_scale": 1e-6}
    assert told["parameters"] == "10,649,932"


def test_a_missing_file_names_the_bundled_weights(run):
    result = run("info", "no-such-weights")

    assert result.code == 1
    assert "no-such-weights: no such weights file" in result.err


def test_a_backbone_alone_is_named_with_the_way_to_train_from_it(run, imagenet_s0):
    result = run("info", imagenet_s0)

    assert result.code == 1
    assert f"with start.backbone={imagenet_s0} and model.size=s0" in result.err
