import json

import yaml


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


def test_a_missing_file_names_the_bundled_weights(run):
    result = run("info", "no-such-weights")

    assert result.code == 1
    assert "no-such-weights: no such weights file" in result.err


def test_a_backbone_alone_is_named_with_the_way_to_train_from_it(run, imagenet_s0):
    result = run("info", imagenet_s0)

    assert result.code == 1
    assert f"RECIPE --set start.backbone={imagenet_s0}, where model.size is s0" in result.err
