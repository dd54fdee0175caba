"""An entry processes an image as users do, and can be opened again in another process."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from support.colour_engine import ColourEngine, colour_info, flag
from torch import Tensor, nn

from cgrseg.benchmarking.baselines import Plain
from cgrseg.benchmarking.entries import STAGES, Entry, SegmenterRunner, complexity, memory_of, print_memory, timed_pass
from cgrseg.config import ModelConfig
from cgrseg.data.images import write_image
from cgrseg.errors import CGRSegError, CheckpointError
from cgrseg.machine import forget_peak, peak_memory
from cgrseg.model import build_model
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


class Small(nn.Module):
    """A convolution with a bias, one without, a linear layer, and a product between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 1, groups=2, bias=False)
        self.last = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x)).flatten(2)
        return self.last(x @ x.transpose(1, 2))


def test_complexity_is_what_counting_by_hand_gives():
    pixels = 6 * 8

    cost = complexity(Small, (6, 8))

    first, second, product, last = pixels * 4 * 27, pixels * 4 * 2, 4 * pixels * 4, 4 * 4 * 5
    assert cost.macs == first + second + product + last
    assert cost.layer_macs == first + pixels * 4 + second + last + 4 * 5
    assert cost.parameters == 4 * 27 + 4 + 4 * 2 + 4 * 5 + 5


def test_a_layer_counts_each_time_it_is_used():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    assert complexity(Twice, (4, 4)).layer_macs == 2 * 16 * 9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "every", "in_layers"),
    [("t", 4.53e9, 4.0e9), ("b", 8.59e9, 7.6e9), ("l", 16.12e9, 14.9e9), ("lite", 3.82e9, 3.74e9)],
)
def test_the_sizes_cost_what_the_paper_and_the_table_of_sizes_say(size, every, in_layers):
    cost = complexity(lambda: build_model(ModelConfig(size=size, classes=150)), (512, 512))

    assert cost.macs == pytest.approx(every, rel=0.002)
    assert cost.layer_macs == pytest.approx(in_layers, rel=0.015)


def test_counting_takes_no_memory_for_weights_or_images():
    held = forget_peak()

    complexity(lambda: nn.Conv2d(3, 10_000, 64), (2048, 2048))

    assert peak_memory() - held < 200 * MIB
