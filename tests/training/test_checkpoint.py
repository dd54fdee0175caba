"""A run resumes bit for bit, however it ended."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from support.child import PHASES
from support.tiny import RECIPE, assert_same, events, numbers, state_of

from cgrseg.config.parsing import as_tree
from cgrseg.errors import RunStopped, TrainingError
from cgrseg.training import checkpoint, train
from cgrseg.training.events import Scoring, Stepped
from cgrseg.weights import load_weights

CHILD = Path(__file__).parents[1] / "support" / "child.py"
SOURCES = str(Path(__file__).parents[2] / "src")


def with_train(**settings):
    return replace(RECIPE, train=replace(RECIPE.train, **settings))


def start(images, run, *, recipe=RECIPE, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, CHILD, images, run, json.dumps({"recipe": as_tree(recipe)} | options)]
    environment = os.environ | {"PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)


def states(run) -> list[Path]:
    return sorted((run / "states").glob("*.pt"))


def assert_same_run(run, whole):
    assert_same(state_of(run), state_of(whole))
    assert numbers(run) == numbers(whole)
    for name in ("best.safetensors", "last.safetensors"):
        first, second = (load_weights(folder / name)[0].state_dict() for folder in (run, whole))
        assert_same(first, second)


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """An uninterrupted run, in a process like those that are killed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert start(images, run).returncode == 0
    return run


@pytest.mark.slow
@pytest.mark.xdist_group("kills")
@pytest.mark.parametrize("phase", PHASES)
def test_a_run_killed_in_any_phase_of_a_save_resumes_bit_for_bit(phase, images, whole, tmp_path):
    run = tmp_path / "run"
    killed = start(images, run, die=[phase, 2])

    resumed = start(images, run, resume=True)

    assert killed.returncode == -signal.SIGKILL
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert_same_run(run, whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_stopped_between_evaluations_resumes_bit_for_bit(workers, images, tmp_path):
    recipe = replace(RECIPE, data=replace(RECIPE.data, workers=workers))
    train(recipe, images, tmp_path / "whole")

    with pytest.raises(RunStopped, match="stopped after step 3; its state is in"):
        train(recipe, images, tmp_path / "cut", watch=lambda event: isinstance(event, Stepped) and event.step == 3)
    train(recipe, images, tmp_path / "cut", resume=True)

    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_a_run_stopped_in_an_evaluation_repeats_it(images, tmp_path):
    train(RECIPE, images, tmp_path / "whole")

    with pytest.raises(RunStopped, match="stopped after step 2"):
        train(RECIPE, images, tmp_path / "cut", watch=lambda event: isinstance(event, Scoring))
    train(RECIPE, images, tmp_path / "cut", resume=True)

    assert_same_run(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.xdist_group("kills")
@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, 2), (signal.SIGINT, 0)])
def test_a_signal_saves_a_checkpoint_exits_with_75_and_the_same_command_resumes(number, workers, images, tmp_path):
    recipe = replace(with_train(steps=400, eval_every=200), data=replace(RECIPE.data, workers=workers))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(as_tree(recipe)))
    run = tmp_path / "run"
    data = f"folder={images}"
    command = [sys.executable, "-m", "cgrseg", "train", tmp_path / "recipe.yaml", "--data", data, "-o", run, "--resume"]
    environment = os.environ | {"PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and not (run / "metrics.jsonl").exists():
        time.sleep(0.1)
    while time.monotonic() < deadline and len(events(run)) < 4:
        time.sleep(0.1)

    process.send_signal(number)
    stderr = process.communicate(timeout=60)[1]

    assert process.returncode == 75, stderr
    assert f"its state is in {run}; the same command with --resume continues it" in stderr
    assert state_of(run)["progress"]["step"] == events(run)[-1]["step"]


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(damage, images, tmp_path, caplog):
    train(RECIPE, images, tmp_path / "whole")
    train(RECIPE, images, tmp_path / "run")
    older, newest = states(tmp_path / "run")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content[:-9] if damage == "truncated" else content)

    train(RECIPE, images, tmp_path / "run", resume=True)

    assert f"{newest} is damaged" in caplog.text
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert older.exists()


def test_without_an_intact_checkpoint_a_run_does_not_resume(images, tmp_path):
    train(RECIPE, images, tmp_path / "run")
    for path in states(tmp_path / "run"):
        path.write_bytes(b"")

    with pytest.raises(TrainingError, match=r"no intact checkpoint: 0+4-0+4-.*, 0+2-0+2-.* are damaged"):
        train(RECIPE, images, tmp_path / "run", resume=True)


def test_resuming_without_a_checkpoint_starts_at_the_first_step_with_a_warning(images, tmp_path, caplog):
    train(RECIPE, images, tmp_path / "run", resume=True)

    assert f"{tmp_path / 'run'} holds no checkpoint to resume from" in caplog.text
    assert [event["step"] for event in events(tmp_path / "run") if event["event"] == "stepped"] == [1, 2, 3, 4]


def test_the_newest_intact_checkpoints_are_kept(images, tmp_path):
    train(with_train(save_every=1, eval_every=4), images, tmp_path / "run")
    older, newest = states(tmp_path / "run")
    newest.write_bytes(b"")

    train(with_train(save_every=1, eval_every=4), images, tmp_path / "run", resume=True)

    assert [path.name[:8] for path in states(tmp_path / "run")] == ["00000003", "00000004"]
    assert all(checkpoint.is_intact(path) for path in states(tmp_path / "run"))
    assert older in states(tmp_path / "run")


def test_a_full_disk_stops_the_run_and_leaves_earlier_checkpoints_intact(images, tmp_path, monkeypatch):
    run, write, saved = tmp_path / "run", torch.save, 0

    def fail_later(tree, path):
        nonlocal saved
        saved += 1
        if saved == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(tree, path)

    monkeypatch.setattr(torch, "save", fail_later)
    with pytest.raises(TrainingError, match="checkpoint of step 4 could not be written: the disk is full; earlier"):
        train(RECIPE, images, run)
    monkeypatch.undo()
    left = [path.name for path in (run / "states").iterdir()]
    train(RECIPE, images, run, resume=True)

    assert [name[:8] for name in left] == ["00000002"]
    train(RECIPE, images, tmp_path / "whole")
    assert_same_run(run, tmp_path / "whole")


def test_a_changed_recipe_is_an_error_that_names_the_difference_unless_accepted(images, tmp_path):
    train(with_train(steps=2), images, tmp_path / "run")

    with pytest.raises(TrainingError, match=r"not that of this run: train\.steps was 2, is 4, train\.lr was 0\.002"):
        train(with_train(lr=1e-3), images, tmp_path / "run", resume=True)
    train(with_train(lr=1e-3), images, tmp_path / "run", resume="changed")

    assert state_of(tmp_path / "run")["progress"]["step"] == 4


def test_other_training_images_are_an_error(images, tmp_path):
    train(RECIPE, images, tmp_path / "run")
    fewer = replace(RECIPE, data=replace(RECIPE.data, hold_out="3"))

    with pytest.raises(TrainingError, match=r"data\.hold_out was '', is '3'|data\.hold_out was"):
        train(fewer, images, tmp_path / "run", resume=True)


def test_the_number_of_workers_may_change(images, tmp_path):
    train(RECIPE, images, tmp_path / "run")

    train(replace(RECIPE, data=replace(RECIPE.data, workers=1)), images, tmp_path / "run", resume=True)

    assert state_of(tmp_path / "run")["progress"]["step"] == 4


def test_an_incomplete_line_of_a_killed_run_is_dropped(images, tmp_path):
    train(RECIPE, images, tmp_path / "whole")
    with pytest.raises(RunStopped):
        train(RECIPE, images, tmp_path / "cut", watch=lambda event: isinstance(event, Stepped) and event.step == 3)
    with (tmp_path / "cut/metrics.jsonl").open("a") as file:
        file.write('{"event": "stepped", "step": 4, "lo')

    train(RECIPE, images, tmp_path / "cut", resume=True)

    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")
