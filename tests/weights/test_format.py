import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.reference import normal_image

from cgrseg.classes import named, published
from cgrseg.config import InferenceConfig, ModelConfig, Recipe, TrainConfig
from cgrseg.errors import CheckpointError
from cgrseg.model import build_model
from cgrseg.weights import WeightsInfo, find_weights, load_weights, open_weights, read_info, save_weights, start_from
from cgrseg.weights.format import as_metadata

CONFIG = ModelConfig(size="s0", classes=3, trained_px=256)
INFO = WeightsInfo(
    model=CONFIG,
    classes=named(("sky", "road", "tree")),
    inference=InferenceConfig(short_px=360),
    recipe=Recipe(model=CONFIG, train=TrainConfig(steps=7, clip_norm=1.5)),
    scores={"val/miou": 0.5},
    step=7,
    trained_on=("0123456789abcdef",),
)


def new_model(config: ModelConfig = CONFIG, seed: int = 0):
    torch.manual_seed(seed)
    return build_model(config).eval()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.safetensors"
    save_weights(path, new_model(), INFO)
    return path


def test_a_file_gives_back_the_network_and_everything_said_about_it(file):
    model, info = load_weights(file)

    image = normal_image(1, 3, 64, 64)
    assert info == INFO
    assert not model.training
    with torch.inference_mode():
        torch.testing.assert_close(model(image), new_model()(image), rtol=0, atol=0)
    assert list(file.parent.iterdir()) == [file]


def test_a_file_written_before_there_were_temperatures_and_levels_has_the_temperature_one_and_none(file, tmp_path):
    metadata = as_metadata(INFO)
    tree = json.loads(metadata["info"])
    del tree["temperature"], tree["levels"]
    save_file(load_file(file), tmp_path / "old.safetensors", metadata | {"info": json.dumps(tree)})

    assert load_weights(tmp_path / "old.safetensors")[1] == INFO
    assert (INFO.temperature, INFO.levels) == (1.0, None)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("std", [0.2, 0.0, 0.2], "std must be positive"),
        ("std", [0.2, 0.2], "damaged"),
        ("mean", [float("nan"), 0.0, 0.0], "not finite"),
        ("mean", "gray", "damaged"),
        ("temperature", 0.0, "temperature must be positive"),
        ("temperature", float("inf"), "not finite"),
        ("temperature", None, "damaged"),
        ("scores", {"val/miou": float("nan")}, "not finite"),
        ("scores", [0.5], "damaged"),
        ("step", "many", "damaged"),
        ("trained_on", [1, 2], "damaged"),
        ("classes", {"names": ["sky", "road"], "colours": [[0, 0, 0], [1, 1, 1]]}, "2 class names for 3 classes"),
        ("classes", {"names": ["sky", "", "tree"], "colours": [[0, 0, 0]] * 3}, "a class without a name"),
        ("classes", {"names": ["sky", "road", "tree"], "colours": [[0, 0, 0]] * 2}, "a colour"),
        ("classes", {"names": ["sky", "road", "tree"], "colours": [[0, 0, 300]] * 3}, "a colour"),
        ("classes", ["sky", "road", "tree"], "damaged"),
        ("model", {"size": "xxl"}, "xxl"),
        ("inference", 7, "damaged"),
        ("recipe", {"train": {"steps": -1}}, "steps"),
    ],
)
def test_a_damaged_description_is_one_sentence(file, tmp_path, key, value, problem):
    metadata = as_metadata(INFO)
    tree = json.loads(metadata["info"]) | {key: value}
    save_file(load_file(file), tmp_path / "bad.safetensors", metadata | {"info": json.dumps(tree)})

    with pytest.raises(CheckpointError, match=f"its description is damaged .*{problem}|its description is {problem}"):
        load_weights(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("change", [{"version": "new"}, {"info": "{"}, {"info": "[]"}, {"info": "[" * 100_000}])
def test_a_description_that_is_no_json_is_one_sentence(file, tmp_path, change):
    save_file(load_file(file), tmp_path / "bad.safetensors", as_metadata(INFO) | change)

    with pytest.raises(CheckpointError, match="its description is damaged"):
        load_weights(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_tensors_that_are_not_finite_are_named(file, tmp_path, value):
    tensors = load_file(file)
    tensors["head.classifier.bias"][1] = value
    save_file(tensors, tmp_path / "bad.safetensors", as_metadata(INFO))

    with pytest.raises(CheckpointError, match=r"1 of its tensors hold NaN or infinity \(head\.classifier\.bias\)"):
        load_weights(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("step", float("inf"), "the step must be a whole number"),
        ("step", -1, "the step must be a whole number"),
        ("scores", {"val/miou": 10**400}, "OverflowError"),
        ("std", [1e-44, 1, 1], "mean and std must be near those of images"),
        ("mean", [1e38, 0, 0], "mean and std must be near those of images"),
        ("temperature", 1e-320, "the temperature must be positive"),
        ("classes", {"names": "abc", "colours": [[0, 0, 0]] * 3}, "'abc' is not a list"),
        ("classes", {"names": ["a", "b", "\ud800"], "colours": [[0, 0, 0]] * 3}, "a class name that is not text"),
        ("classes", {"names": ["a", "b", "c" * 10**6], "colours": [[0, 0, 0]] * 3}, "a class name that is not text"),
        ("classes", {"names": ["a", "b", "c"], "colours": [[0.5, 0, 0]] * 3}, "a colour that is not three numbers"),
        ("inference", {"short_px": 10**9, "long_px": 10**9}, "the inference sizes are too large"),
        ("trained_on", "abc", "'abc' is not a list"),
    ],
)
def test_a_description_that_could_not_be_used_is_refused(file, tmp_path, key, value, fault):
    info = json.loads(metadata_of(file)) | {key: value}
    save_file(load_file(file), tmp_path / "bad.safetensors", as_metadata(INFO) | {"info": json.dumps(info)})

    with pytest.raises(CheckpointError, match=rf"damaged .*({fault}|TypeCheckError)"):  # the tests check types, too
        read_info(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("kind", [torch.bool, torch.int32])
def test_tensors_of_another_type_are_named(file, tmp_path, kind):
    tensors = load_file(file)
    tensors["head.classifier.bias"] = torch.zeros(3, dtype=kind)
    save_file(tensors, tmp_path / "bad.safetensors", as_metadata(INFO))

    with pytest.raises(CheckpointError, match=r"1 of another type \(head\.classifier\.bias holds (bool|int32)\)"):
        load_weights(tmp_path / "bad.safetensors")


def test_half_a_file_is_half_as_large_and_loads_as_fp32(file, tmp_path):
    half = tmp_path / "half.safetensors"

    save_weights(half, new_model(), INFO, half=True)

    model, _ = load_weights(half)
    assert half.stat().st_size < 0.6 * file.stat().st_size
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_what_does_not_fit_is_listed_in_one_error(file):
    tensors = load_file(file)
    tensors["head.surprise"] = torch.zeros(1)
    tensors["head.classifier.bias"] = torch.zeros(4)
    del tensors["backbone.stem.0.conv.weight"]
    metadata = {"format": "cgrseg", "version": "1", "info": metadata_of(file)}
    save_file(tensors, file, metadata)

    with pytest.raises(CheckpointError) as caught:
        load_weights(file)

    message = str(caught.value)
    assert "1 missing (backbone.stem.0.conv.weight)" in message
    assert "1 unexpected (head.surprise)" in message
    assert "1 of another shape (head.classifier.bias is (4,), not (3,))" in message


def metadata_of(file) -> str:
    import safetensors

    with safetensors.safe_open(file, "pt") as opened:
        return opened.metadata()["info"]


def test_a_cut_file_a_foreign_one_and_a_newer_one_are_told_apart(file, tmp_path):
    cut, foreign, newer = tmp_path / "cut.safetensors", tmp_path / "foreign.safetensors", tmp_path / "newer.safetensors"
    cut.write_bytes(file.read_bytes()[:1000])
    save_file({"x": torch.zeros(1)}, foreign)
    save_file({"x": torch.zeros(1)}, newer, {"format": "cgrseg", "version": "2", "info": "{}"})

    for path, sentence in ((cut, "is cut short"), (foreign, "was not written by cgrseg"), (newer, "update cgrseg")):
        with pytest.raises(CheckpointError, match=sentence):
            read_info(path)


def test_another_number_of_classes_is_refused_by_name(file):
    with pytest.raises(CheckpointError, match=r"model.safetensors predicts 3 classes but camvid has 11"):
        open_weights(file, classes="camvid")


def test_given_class_names_replace_those_of_the_file(file):
    _, info = open_weights(file, classes=("a", "b", "c"))

    assert info.classes.names == ("a", "b", "c")


def test_starting_keeps_the_rows_of_classes_of_the_same_name_and_names_the_others(file):
    given, info = load_weights(file)
    table = named(("tree", "car", "sky", "bus"))
    model = new_model(replace(CONFIG, classes=4), seed=1)
    random_rows = model.head.classifier.weight.detach().clone()

    drawn_anew = start_from(model, table, given.state_dict(), info.classes, "model.safetensors")

    rows, old = model.head.classifier.weight, given.head.classifier.weight
    assert drawn_anew == ("car", "bus")
    assert torch.equal(rows[0], old[2])
    assert torch.equal(rows[2], old[0])
    assert torch.equal(rows[1], random_rows[1])
    assert torch.equal(model.backbone.stem[0].conv.weight, given.backbone.stem[0].conv.weight)


def test_starting_from_another_size_is_an_error():
    given = new_model(ModelConfig(size="t", classes=3))

    with pytest.raises(CheckpointError, match="does not fit this network"):
        start_from(new_model(), INFO.classes, given.state_dict(), INFO.classes, "t.safetensors")


def test_a_name_that_is_nothing_says_what_there_is():
    with pytest.raises(CheckpointError, match="no such weights file, and no bundled name"):
        find_weights("cgrseg-x-moon")


def test_published_tables_have_names_and_colours():
    table = published("camvid")

    assert len(table) == 11
    assert table.names[:3] == ("sky", "building", "pole")
    assert table.colours[0] == (128, 128, 128)
