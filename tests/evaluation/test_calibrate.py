"""A temperature calibrates confidence, is scored on images it was not fitted on, and is stored with the weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from support.colour_engine import ColourEngine, colour_info

from cgrseg.config import ModelConfig
from cgrseg.data.datasets.labelled import LabelledImages
from cgrseg.errors import CheckpointError, DatasetError
from cgrseg.evaluation import calibrate, evaluate, require_target, write_temperature
from cgrseg.model import build_model
from cgrseg.predictor import Segmenter, load
from cgrseg.predictor.protocols import choose_protocol
from cgrseg.weights import load_weights, save_weights


def colour_segmenter(temperature: float = 1.0, weights: str = "") -> Segmenter:
    return Segmenter(ColourEngine(), replace(colour_info(), temperature=temperature), weights)


def test_the_error_falls_also_on_the_half_that_the_temperature_was_not_fitted_on(drawn):
    progress = []

    result = calibrate(colour_segmenter(), drawn(10), lambda *counts: progress.append(counts))

    assert result.temperature > 2  # the engine is always sure, and wrong in a fifth
    assert result.after < result.before / 2
    assert all(half.after < half.before / 2 for half in result.halves)
    assert progress == [(done, 20) for done in range(1, 21)]


def test_errors_are_those_that_an_evaluation_finds(drawn):
    dataset, parts = drawn(10), (slice(0, 5), slice(5, 10))

    result = calibrate(colour_segmenter(1.5), dataset)

    def error(temperature: float, images: LabelledImages) -> float:
        evaluation = evaluate(colour_segmenter(temperature), images, calibration=True)
        return evaluation.reliability.expected_error

    assert result.before == pytest.approx(error(1.5, dataset))
    assert result.after == pytest.approx(error(result.temperature, dataset))
    for half, own, other in zip(result.halves, parts, parts[::-1], strict=True):
        alone = calibrate_half(dataset, own)
        assert half.temperature == pytest.approx(alone)
        assert half.after == pytest.approx(judged(dataset, other, half.temperature))


def calibrate_half(dataset: LabelledImages, part: slice) -> float:
    """What is fitted on these images twice over, so that both halves of what is given are the same."""
    return calibrate(colour_segmenter(), Reordered.of(dataset, [*range(10)[part]] * 2)).temperature


def judged(dataset: LabelledImages, part: slice, temperature: float) -> float:
    images = Reordered.of(dataset, [*range(10)[part]])
    return evaluate(colour_segmenter(temperature), images, calibration=True).reliability.expected_error


class Reordered(LabelledImages):
    """Some images of another data set."""

    @classmethod
    def of(cls, dataset: LabelledImages, order: list[int]) -> "Reordered":
        made = cls("folder", "val", dataset.classes, tuple(dataset.pairs[index] for index in order), dataset.lookup)
        object.__setattr__(made, "image", lambda index: dataset.image(order[index]))
        object.__setattr__(made, "labels", lambda index: dataset.labels(order[index]))
        return made


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_the_temperature_does_not_depend_on_workers_or_batches(drawn, workers):
    plain = calibrate(colour_segmenter(), drawn(9), workers=0)

    assert calibrate(colour_segmenter(), drawn(9), workers=workers, batch=2) == plain


@pytest.mark.parametrize("name", ["whole", "sliding", "multi-scale"])
def test_a_temperature_changes_confidence_and_no_label(drawn, name):
    image, info = drawn(1).image(0), colour_info()
    protocol = choose_protocol(name, info)

    plain = Segmenter(ColourEngine(), info, protocol=protocol)(image)
    warm = Segmenter(ColourEngine(), replace(info, temperature=5.0), protocol=protocol)(image)

    assert (plain.labels == warm.labels).all()
    assert warm.confidence.mean() < plain.confidence.mean() - 0.01


def test_logits_of_single_pixels_are_those_of_the_whole_upsampling(drawn):
    segmenter = colour_segmenter()
    image_logits = segmenter(drawn(4).image(3)).confidence_source
    pixels = np.arange(30 * 90)

    logits = image_logits.logits_of(pixels)

    probability = torch.from_numpy(logits).softmax(dim=0).amax(dim=0).numpy()
    assert (logits.argmax(axis=0) == image_logits.labels().reshape(-1)).mean() > 0.999
    assert np.abs(probability - image_logits.confidence().reshape(-1)).max() < 1e-4


def test_data_without_labels_in_one_half_is_refused(drawn):
    with pytest.raises(DatasetError, match="'val' of folder needs labels in its first and in its second half"):
        calibrate(colour_segmenter(), drawn(1))


@pytest.fixture
def weights(tmp_path) -> Path:
    path = tmp_path / "weights.safetensors"
    info = replace(colour_info(), model=ModelConfig(size="s0", classes=3))
    save_weights(path, build_model(info.model).eval(), info, half=True)
    return path


@pytest.mark.parametrize("name", ["calibrated.safetensors", "weights.safetensors", "new/folder/w.safetensors"])
def test_weights_are_written_with_their_temperature_and_the_same_tensors(weights, tmp_path, name):
    with safe_open(weights, "pt") as file:
        before = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is no mapping
    info = load_weights(weights)[1]

    write_temperature(str(weights), tmp_path / name, 1.25)

    with safe_open(tmp_path / name, "pt") as file:
        after = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert load_weights(tmp_path / name)[1] == replace(info, temperature=1.25)
    assert all(torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before)
    assert before.keys() == after.keys()


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("some.onnx", "a.safetensors", r"some.onnx is an export; calibrate the .safetensors it was made from"),
        ("some.xml", "a.safetensors", "is an export"),
        ("cgrseg-t-camvid", "cgrseg-t-camvid", "go to a file whose name ends in .safetensors"),
        ("cgrseg-t-camvid", "BUNDLED", "belongs to the package; give another file"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(source, target, message, repository):
    bundled = repository / "src/cgrseg/assets/cgrseg-t-camvid.safetensors"

    with pytest.raises(CheckpointError, match=message):
        require_target(colour_segmenter(weights=source), bundled if target == "BUNDLED" else Path(target))


def test_another_protocol_is_refused_with_the_way_out(drawn, tmp_path):
    segmenter = Segmenter(ColourEngine(), colour_info(), protocol=choose_protocol("sliding", colour_info()))

    for refuse in (
        lambda: calibrate(segmenter, drawn(4)),
        lambda: require_target(segmenter, tmp_path / "a.safetensors"),
    ):
        with pytest.raises(CheckpointError, match="fitted on whole images; leave the protocol at `whole`"):
            refuse()


@pytest.mark.slow
def test_any_engine_and_door_has_the_temperature_of_the_file(weights, tmp_path, drawn):
    write_temperature(str(weights), weights.with_name("warm.safetensors"), 3.0)

    plain, warm = (load(weights.with_name(f"{name}.safetensors"), engine="torch") for name in ("weights", "warm"))

    image = drawn(1).image(0)
    assert warm.info.temperature == 3.0
    assert (plain(image).labels == warm(image).labels).all()
    assert warm(image).confidence.mean() < plain(image).confidence.mean()
