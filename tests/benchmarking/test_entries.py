"""An entry processes an image as users do, and can be opened again in another process."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from support.colour_engine import ColourEngine, colour_info, flag

from cgrseg.benchmarking.baselines import Plain
from cgrseg.benchmarking.entries import STAGES, Entry, SegmenterRunner, memory_of, print_memory, timed_pass
from cgrseg.data.images import write_image
from cgrseg.errors import CGRSegError, CheckpointError
from cgrseg.predictor import Segmenter

S0 = Entry(name="cgrseg-s0", engine="torch", threads=1, classes=5)
LITE = Entry(name="cgrseg-lite", engine="torch", threads=1, classes=5)
MIB = 1 << 20


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "flag.png", flag(50, 70))
    return tmp_path / "flag.png"


def test_the_stages_together_are_what_a_segmenter_does(photo):
    segmenter = Segmenter(ColourEngine(), colour_info(short_px=64, long_px=128))

    labels, spans = timed_pass(SegmenterRunner(segmenter), photo)

    assert (labels == segmenter(flag(50, 70)).labels).all()
    assert len(spans) == len(STAGES)
    assert min(spans) > 0


def test_a_quantized_file_is_told_from_a_whole_one():
    whole, small = ColourEngine(), ColourEngine()
    small.metadata = {"format": "cgrseg", "int8": "yes"}

    assert SegmenterRunner(Segmenter(whole, colour_info())).precision == "fp32"
    assert SegmenterRunner(Segmenter(small, colour_info())).precision == "int8"


@pytest.mark.parametrize(("entry", "design"), [(S0, "CGRSeg-S0"), (LITE, "CGRSeg-Lite")], ids=["s0", "lite"])
def test_a_network_without_weights_is_the_same_in_every_process(entry, design):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)

    one, two = (entry.open() for _ in range(2))

    assert one.info.model.classes == 5
    assert one.design == design
    assert one.engine == "torch"
    assert (one.network(one.prepare(image)) == two.network(two.prepare(image))).all()


def test_only_weights_from_a_file_are_trained():
    trained = Entry(name="cgrseg-t-camvid", engine="auto", threads=1)
    baseline = Entry(name="plain", engine=None, threads=1)

    assert [entry.is_trained for entry in (trained, S0, baseline)] == [True, False, False]


def test_a_baseline_resizes_images_as_its_entry_says():
    baseline = Entry(name="plain", engine=None, threads=1, size="s0", classes=3, short_px=32, long_px=64).open()

    assert isinstance(baseline, Plain)
    assert baseline.prepare(flag(40, 60)).shape == (3, 32, 64)


def test_missing_weights_are_named():
    with pytest.raises(CheckpointError, match="no-such-weights"):
        Entry(name="no-such-weights", engine="torch", threads=1).open()


@pytest.mark.slow
def test_memory_is_that_of_a_fresh_process(photo):
    burden = np.ones(2048 * MIB, np.uint8)

    memory = memory_of(S0, photo)

    assert burden.nbytes > memory.peak_bytes > 100 * MIB
    assert 0 < memory.above_model_bytes < memory.peak_bytes


@pytest.mark.slow
def test_what_goes_wrong_in_the_other_process_is_told(tmp_path):
    with pytest.raises(CGRSegError, match=r"cgrseg-s0: the process that measures its memory failed: .*gone\.png"):
        memory_of(S0, tmp_path / "gone.png")


def test_the_other_process_answers_in_one_line_of_json(photo, capsys):
    print_memory(json.dumps({"entry": asdict(S0), "photo": str(photo)}))

    memory = json.loads(capsys.readouterr().out)
    assert memory["peak_bytes"] > memory["above_model_bytes"] >= 0
