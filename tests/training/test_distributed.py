"""Several processes train one network: gloo on a CPU, started by torchrun."""

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
from cgrseg.training.distributed import Processes, convert_sync_batchnorm, join_processes
from cgrseg.training.loop import evaluate_distributed
from cgrseg.training.train import require_divisible
from cgrseg.weights import WeightsInfo

CHILD = Path(__file__).parents[1] / "support" / "child.py"
SOURCES = str(Path(__file__).parents[2] / "src")
TOLERANCE = 2e-3
"""Largest relative difference of losses over the steps below: sums are rounded in another order, and AdamW divides
small gradients by their own size."""


def with_train(**settings):
    return replace(RECIPE, train=replace(RECIPE.train, **{"batch_size": 6, "ema": None} | settings))


def launch(processes, images, run, recipe, **options) -> subprocess.CompletedProcess:
    arguments = [json.dumps({"recipe": as_tree(recipe)} | options)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(torchrun if processes > 1 else []), CHILD, images, run, *arguments]
    environment = os.environ | {"PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=150)


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
def test_several_processes_learn_what_one_learns(processes, alone, images, tmp_path):
    done = launch(processes, images, tmp_path, with_train(), plain=True)

    assert done.returncode == 0, done.stderr[-2000:]
    assert events(tmp_path)[0]["processes"] == processes
    assert losses(tmp_path) == pytest.approx(losses(alone), rel=TOLERANCE)
    assert len(events(tmp_path)) == len(events(alone))


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_a_run_resumes_with_another_number_of_processes(alone, images, tmp_path):
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


class Threads(Processes):
    """Threads in place of processes."""

    def __init__(self, rank, group) -> None:
        super().__init__(rank=rank, world_size=len(group.tensors))
        object.__setattr__(self, "group", group)

    def all_reduce(self, tensor):
        return self.group.add(self.rank, tensor)


class ThreadGroup:
    def __init__(self, size) -> None:
        self.tensors, self.barrier = [torch.zeros(())] * size, threading.Barrier(size)

    def add(self, rank, tensor):
        self.tensors[rank] = tensor
        self.barrier.wait()
        total = sum(self.tensors[1:], self.tensors[0])
        self.barrier.wait()
        return total


@pytest.mark.parametrize("size", [2, 3])
def test_a_distributed_evaluation_counts_every_image_once(size, images):
    torch.manual_seed(0)
    config = replace(RECIPE.model, classes=2)
    dataset = open_dataset("folder", images, "val")
    info = WeightsInfo(model=config, classes=dataset.classes, inference=RECIPE.inference)
    segmenter = Segmenter(TorchEngine(build_model(config)), info)
    whole, thread_group, results = evaluate(segmenter, dataset), ThreadGroup(size), [None] * size

    def score(rank) -> None:
        results[rank] = evaluate_distributed(segmenter, dataset, Threads(rank, thread_group), lambda done, images: None)

    threads = [threading.Thread(target=score, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for evaluation in results:
        assert evaluation.as_tree() == whole.as_tree()
        assert np.array_equal(evaluation.matrix, whole.matrix)
        assert np.array_equal(evaluation.images_of_class, whole.images_of_class)


@pytest.fixture
def group():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_sync_batch_norm_of_one_process_is_batch_norm(group):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    x = torch.randn(3, 3, 5, 4)
    synchronised = convert_sync_batchnorm(plain)
    outputs, gradients, statistics = [], [], []

    for network in (synchronised, plain):
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

    synchronised = convert_sync_batchnorm(plain)

    assert [id(value) for value in synchronised.parameters()] == [id(value) for value in plain.parameters()]
    assert synchronised.state_dict().keys() == plain.state_dict().keys()
    assert isinstance(plain[1], nn.BatchNorm2d)


def test_a_batch_size_that_does_not_divide_is_an_error():
    with pytest.raises(RecipeError, match=r"train\.batch_size is 6, which 4 processes .* choose a multiple of 4"):
        require_divisible(with_train(), Processes(world_size=4))


def test_missing_variables_of_torchrun_are_an_error(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(TrainingError, match=r"WORLD_SIZE is set but not RANK, .*; start the processes with torchrun"):
        join_processes("cpu").__enter__()


def test_shards_of_a_batch_cover_it_once():
    parts = [range(10)[Processes(rank=rank, world_size=3).shard(10)] for rank in range(3)]

    assert [len(part) for part in parts] == [3, 3, 4]
    assert sorted(index for part in parts for index in part) == list(range(10))
