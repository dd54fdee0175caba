"""Counts by hand, memory of this process, and what is known of this machine."""

import shutil
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from cgrseg import machine as inspecting
from cgrseg.config import ModelConfig
from cgrseg.machine import complexity, forget_peak, machine, matrix_rate, peak_memory
from cgrseg.model import build_model

MIB = 1 << 20


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


PEAK = """
import numpy
from cgrseg.machine import forget_peak, peak_memory
held = forget_peak()
block = numpy.ones(64 << 20, numpy.uint8)
del block
print(peak_memory() - held)
"""
"""In a process of its own: what else lives in this one may give memory back at the same time."""


@pytest.mark.slow
def test_the_peak_remembers_memory_that_was_given_back():
    told = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True).stdout

    assert int(told) >= 60 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither of the two")
def test_a_system_without_proc_tells_the_peak_too(monkeypatch):
    def absent(key):
        raise OSError(key)

    monkeypatch.setattr(inspecting, "_status", absent)

    assert forget_peak() > MIB
    assert peak_memory() > MIB


def test_the_rate_is_the_best_of_some_products(monkeypatch):
    ticks = iter([0.0, 3.0, 10.0, 12.0])
    monkeypatch.setattr(inspecting, "MATRIX", 8)
    monkeypatch.setattr(inspecting.time, "perf_counter", lambda: next(ticks))

    assert matrix_rate(repeats=2) == 8**3 / 2.0


def test_the_machine_names_processor_and_versions():
    told = machine().as_tree()

    assert told["processor"]
    assert told["cores"] >= 1
    assert told["versions"]["torch"] == torch.__version__
    assert "no-such-package" not in told["versions"]


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit of one folder, and a folder that it does not hold."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    for folder in ("held", "foreign"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text("1\n")
    (tmp_path / ".gitignore").write_text("foreign\n")
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    return tmp_path


def test_the_commit_is_marked_where_sources_changed_since(repository):
    before = inspecting._commit(repository / "held")
    (repository / "held" / "code.py").write_text("2\n")
    after = inspecting._commit(repository / "held")

    assert len(before) >= 7
    assert after == f"{before}+"


def test_a_repository_that_only_surrounds_the_package_is_not_its_commit(repository):
    assert inspecting._commit(repository / "foreign") == ""
