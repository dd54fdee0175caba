"""Several processes learn as one: gloo on a CPU, started by torchrun."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import RECIPE, events
from torch import distributed, nn

from cgrseg.config.parsing import as_tree
from cgrseg.data.datasets import open_dataset
from cgrseg.errors import RecipeError, TrainingError
from cgrseg.evaluation import evaluate
from cgrseg.model import build_model
from cgrseg.predictor import Segmenter
from cgrseg.runtime import TorchEngine
from cgrseg.training.distributed import World, joined, with_synchronised_norms
from cgrseg.training.loop import evaluate_together
from cgrseg.training.train import require_divisible
from cgrseg.weights import WeightsInfo

CHILD = Path(__file__).parents[1] / "support" / "child.py"
SOURCES = str(Path(__file__).parents[2] / "src")
TOLERANCE = 2e-3
"""Largest relative difference of losses over the steps below: sums are rounded in another order, and AdamW divides
small gradients by their own size."""


def with_train(**settings):
    return replace(RECIPE, train=replace(RECIPE.train, **{"batch_size": 6, "ema": None} | settings))


def launch(processes, images, run, recipe, **asked) -> subprocess.CompletedProcess:
    words = [json.dumps({"recipe": as_tree(recipe)} | asked)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(torchrun if processes > 1 else []), CHILD, images, run, *words]
    surroundings = os.environ | {"PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=False, env=surroundings, capture_output=True, text=True, timeout=150)


def losses(run) -> list[float]:
    return [event["loss"] for event in events(run) if event["event"] == "stepped"]


@pytest.fixture(scope="module")
def alone(images, tmp_path_factory):
    """One process, six images a step."""
    run = tmp_path_factory.mktemp("alone") / "run"
    done = launch(1, images, run, with_train(), plain=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return run


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("processes", [2, 3])
def test_processes_that_share_a_batch_learn_what_one_learns(processes, alone, images, tmp_path):
    done = launch(processes, images, tmp_path, with_train(), plain=True)

    assert done.returncode == 0, done.stderr[-2000:]
    assert events(tmp_path)[0]["processes"] == processes
    assert losses(tmp_path) == pytest.approx(losses(alone), rel=TOLERANCE)
    assert len(events(tmp_path)) == len(events(alone))


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_a_run_goes_on_with_another_number_of_processes(alone, images, tmp_path):
    launch(1, images, tmp_path, with_train(), plain=True, stop=2)

    resumed = launch(2, images, tmp_path, with_train(), plain=True, resume=True)

    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert losses(tmp_path)[:2] == losses(alone)[:2]
    assert losses(tmp_path) == pytest.approx(losses(alone), rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_parts_that_accumulate_learn_what_the_whole_batch_does(images, tmp_path):
    for name, parts in (("whole", 1), ("parts", 3)):
        launch(1, images, tmp_path / name, with_train(accumulate=parts), plain=True, frozen=True)

    assert losses(tmp_path / "parts") == pytest.approx(losses(tmp_path / "whole"), rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_a_process_that_fails_ends_all_with_its_own_error(images, tmp_path):
    failed = launch(2, images, tmp_path, with_train(), fail=[1, 2])

    assert failed.returncode != 0
    assert "ZeroDivisionError: planted" in failed.stderr


class Together(World):
    """A world of threads."""

    def __init__(self, rank, meeting) -> None:
        super().__init__(rank=rank, size=len(meeting.places))
        object.__setattr__(self, "meeting", meeting)

    def sum(self, tensor):
        return self.meeting.add(self.rank, tensor)


class Meeting:
    def __init__(self, size) -> None:
        self.places, self.barrier = [torch.zeros(())] * size, threading.Barrier(size)

    def add(self, rank, tensor):
        self.places[rank] = tensor
        self.barrier.wait()
        total = sum(self.places[1:], self.places[0])
        self.barrier.wait()
        return total


@pytest.mark.parametrize("size", [2, 3])
def test_an_evaluation_by_several_counts_every_image_once(size, images):
    torch.manual_seed(0)
    config = replace(RECIPE.model, classes=2)
    dataset = open_dataset("folder", images, "val")
    info = WeightsInfo(model=config, classes=dataset.classes, inference=RECIPE.inference)
    segmenter = Segmenter(TorchEngine(build_model(config)), info)
    whole, meeting, found = evaluate(segmenter, dataset), Meeting(size), [None] * size

    def score(rank) -> None:
        found[rank] = evaluate_together(segmenter, dataset, Together(rank, meeting), lambda done, images: None)

    threads = [threading.Thread(target=score, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for evaluation in found:
        assert evaluation.as_tree() == whole.as_tree()
        assert np.array_equal(evaluation.matrix, whole.matrix)


@pytest.fixture
def group():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_a_synchronised_norm_is_batch_norm(group):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    x = torch.randn(3, 3, 5, 4)
    shared = with_synchronised_norms(plain)
    outputs, gradients, statistics = [], [], []

    for network in (shared, plain):
        before = [buffer.clone() for buffer in plain.buffers()]
        output = network.train()(x)
        outputs.append(output)
        gradients.append(torch.autograd.grad(output.square().sum() + output[0].sum(), list(plain.parameters())))
        statistics.append([buffer.clone() for buffer in plain.buffers()])
        for buffer, old in zip(plain.buffers(), before, strict=True):
            buffer.copy_(old)

    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(*statistics)


def test_a_synchronised_network_has_the_tensors_of_the_plain_one(group):
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    shared = with_synchronised_norms(plain)

    assert [id(value) for value in shared.parameters()] == [id(value) for value in plain.parameters()]
    assert shared.state_dict().keys() == plain.state_dict().keys()
    assert isinstance(plain[1], nn.BatchNorm2d)


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(RecipeError, match=r"train\.batch_size is 6, which 4 processes .* choose a multiple of 4"):
        require_divisible(with_train(), World(size=4))


def test_half_of_torchruns_variables_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(TrainingError, match=r"WORLD_SIZE is set but RANK, .* not; start the processes with torchrun"):
        joined("cpu").__enter__()


def test_places_of_a_batch_are_shared_without_rest():
    parts = [range(10)[World(rank=rank, size=3).part(10)] for rank in range(3)]

    assert [len(part) for part in parts] == [3, 3, 4]
    assert sorted(place for part in parts for place in part) == list(range(10))
