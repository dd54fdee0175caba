"""Entries take turns, and the results follow from what was measured."""

import json

import numpy as np
import pytest
import torch
from support.colour_engine import ColourEngine, colour_info, flag

import cgrseg
from cgrseg import benchmarking
from cgrseg.benchmarking import (
    BenchmarkConfig,
    Rounds,
    benchmark,
    check,
    list_entries,
    sized_photo,
    summary,
    take_rounds,
    timing,
)
from cgrseg.benchmarking.entries import STAGES, Complexity, Entry, Memory, SegmenterRunner
from cgrseg.data.images import read_image, write_image
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.predictor import Segmenter


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "flag.png", flag(50, 70))
    return tmp_path / "flag.png"


@pytest.fixture
def quick(monkeypatch):
    """Matrix products of which each is faster than the last."""
    rates = iter(range(1, 1000))
    monkeypatch.setattr(benchmarking, "matrix_rate", lambda repeats: float(next(rates)))


class Listed(ColourEngine):
    """An engine that writes its name down whenever it runs."""

    def __init__(self, name: str, log: list[str]) -> None:
        super().__init__()
        self.label, self.log = name, log

    def __call__(self, images):
        self.log.append(self.label)
        return super().__call__(images)


def runner(name: str = "a", log: list[str] | None = None) -> SegmenterRunner:
    return SegmenterRunner(Segmenter(Listed(name, [] if log is None else log), colour_info()))


def test_a_timing_is_the_median_and_the_quartiles():
    result = timing([5.0, 1.0, 2.0, 4.0, 3.0])

    assert (result.low_ms, result.median_ms, result.high_ms, result.fastest_ms) == (2.0, 3.0, 4.0, 1.0)


def test_entries_take_turns_and_every_second_round_goes_backwards(photo, quick):
    log = []

    rounds = take_rounds([runner("a", log), runner("b", log)], photo, 3, lambda *_: None)

    assert log == list("abba" * benchmarking.WARM_UP)
    assert rounds.ms.shape == (3, 2, len(STAGES))
    assert (rounds.ms > 0).all()
    assert rounds.rate == benchmarking.WARM_UP + 3


def test_progress_counts_memory_measurements_and_rounds(photo, quick, monkeypatch):
    monkeypatch.setattr(benchmarking, "memory_of", lambda entry, photo: Memory(5, 2))
    monkeypatch.setattr(Entry, "open", lambda entry: runner())
    config = BenchmarkConfig(engines=("torch", "auto"), image=photo, repeats=2)
    progress, stages = [], []

    benchmark("w", config, lambda done, total: progress.append((done, total)), stages.append)

    total = 2 + benchmarking.WARM_UP + 2
    assert progress == [(done, total) for done in range(total)]
    assert stages == ["peak memory", "rounds, each with one pass of every entry"]


@pytest.fixture
def measured(monkeypatch):
    """Two entries over three rounds, of which the second round was slow for both."""
    monkeypatch.setattr(benchmarking, "complexity", lambda build, size: Complexity(1, 4, 3))
    entries = [Entry(name="w", engine=engine, threads=1) for engine in ("torch", "auto")]
    ms = np.zeros((3, 2, 4))
    ms[:, :, 2] = [[10, 20], [100, 300], [10, 25]]
    ms[:, :, 0] = 1.0
    labels = [np.zeros((4, 4), np.uint8), np.eye(4, dtype=np.uint8)]
    rounds = Rounds(ms, labels, rate=2e9)

    def measure(index: int):
        image, memory = flag(50, 70), Memory(5, 2)
        return summary(entries, [runner(), runner()], index, image, memory, rounds)

    return measure


def test_ratios_are_taken_within_rounds(measured):
    assert measured(0).ratio == 1.0
    assert measured(1).ratio == round(26 / 11, 3)


def test_a_measurement_holds_each_stage_and_their_sum(measured):
    result = measured(1)

    assert result.stages["decode"].median_ms == 1.0
    assert result.stages["network"].median_ms == 25.0
    assert result.total.median_ms == 26.0
    assert result.input == (64, 90)
    assert result.classes == 3
    assert result.memory.peak_bytes == 5


def test_labels_are_compared_with_the_first_engine_of_the_same_weights(measured):
    assert measured(0).same_labels is None
    assert measured(1).same_labels == 12 / 16


def test_each_weights_runs_on_each_engine_and_baselines_come_last():
    config = BenchmarkConfig(engines=("torch", "auto"), against=("plain",), threads=2, classes=7)

    entries = list_entries(["cgrseg-s0", "cgrseg-t"], config)

    listed = [(entry.name, entry.engine) for entry in entries]
    own = [("cgrseg-s0", "torch"), ("cgrseg-s0", "auto"), ("cgrseg-t", "torch"), ("cgrseg-t", "auto")]
    assert listed == [*own, ("plain", None)]
    assert entries[-1] == Entry(name="plain", engine=None, threads=2, size="s0", classes=7)


def test_baselines_see_the_image_as_the_first_weights_do():
    entries = list_entries(["cgrseg-t-camvid"], BenchmarkConfig(engines=("torch",), against=("plain",)))

    fit = cgrseg.load("cgrseg-t-camvid", engine="torch").info.inference
    assert entries[-1].classes == 11
    assert (entries[-1].short_px, entries[-1].long_px) == (fit.short_px, fit.long_px)


def test_a_size_makes_a_jpeg_of_the_image(photo, tmp_path):
    folder = tmp_path / "sized"
    folder.mkdir()

    sized = sized_photo(BenchmarkConfig(image=photo, size=(20, 30)), folder)

    assert sized == folder / "flag.jpg"
    assert read_image(sized).shape == (20, 30, 3)
    assert sized_photo(BenchmarkConfig(image=photo), folder) == photo
    assert read_image(sized_photo(BenchmarkConfig(), folder)).shape == (720, 1280, 3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BenchmarkConfig(threads=0), "threads is 0; it is at least 1"),
        (BenchmarkConfig(repeats=1), "repeats is 1; it is at least 2"),
        (BenchmarkConfig(classes=0), "classes is 0; it is at least 1"),
        (BenchmarkConfig(size=(0, 5)), "an image of 0 x 5 has no pixels"),
        (BenchmarkConfig(engines=()), "nothing to measure"),
    ],
)
def test_settings_that_measure_nothing_are_refused(config, message):
    with pytest.raises(CGRSegError, match=message):
        check(config, ["cgrseg-t"])


def test_no_weights_and_no_image_are_mistakes(tmp_path):
    with pytest.raises(CGRSegError, match="name weights, such as cgrseg-t-camvid"):
        benchmark([])
    with pytest.raises(ImageError, match="no such file"):
        benchmark("cgrseg-s0", BenchmarkConfig(image=tmp_path / "gone.jpg"))


@pytest.mark.slow
def test_a_whole_benchmark_becomes_json(photo):
    config = BenchmarkConfig(engines=("torch",), against=("plain",), image=photo, size=(64, 96), classes=5, repeats=2)

    result = benchmark("cgrseg-lite", config)

    tree = json.loads(json.dumps(result.as_tree()))
    own, plain = tree["contenders"]
    assert [own["name"], plain["name"]] == ["cgrseg-lite", "plain"]
    assert own["design"] == plain["design"] == "CGRSeg-Lite"
    assert own["input"] == plain["input"] == [512, 768]
    assert own["complexity"]["parameters"] == sum(
        parameter.numel() for parameter in cgrseg.build_model(cgrseg.ModelConfig(size="lite", classes=5)).parameters()
    )
    assert own["floor_ms"] == pytest.approx(1000 * own["complexity"]["macs"] / tree["fp32_macs_per_s"], rel=1e-3)
    assert list(own["stages"]) == list(STAGES)
    assert tree["picture"] == {"name": "flag.jpg", "height": 64, "width": 96}
    assert tree["settings"]["threads"] == torch.get_num_threads() == 1
    assert not own["is_trained"]
