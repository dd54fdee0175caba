import shutil
from dataclasses import replace

import pytest
import torch
from support.tiny import RECIPE

from cgrseg.data.datasets import open_dataset
from cgrseg.data.loader import Batch
from cgrseg.training import checkpoint
from cgrseg.training import monitor as monitoring
from cgrseg.training.events import Stepped
from cgrseg.training.monitor import WARMUP_STEPS, Monitor


@pytest.fixture
def monitor(images):
    return Monitor(RECIPE, open_dataset("folder", images, "train"))


def batch(*labels) -> Batch:
    maps = torch.tensor(labels, dtype=torch.uint8).expand(2, 1, -1)
    return Batch(0, torch.zeros(2, 3, *maps.shape[1:]), maps, ("a", "b"))


def stepped(step, waiting=0.0) -> Stepped:
    return Stepped(step=step, loss=1.0, lr=0.1, gradient=1.0, pictures_per_s=4.0, data_share=waiting)


def sentences(monitor, steps, labels=(0, 1), waiting=0.0) -> list[str]:
    return [
        warning.sentence for step in steps for warning in monitor.after_step(batch(*labels), stepped(step, waiting))
    ]


def test_a_sound_run_gives_no_warning(monitor):
    assert sentences(monitor, range(1, 2 * WARMUP_STEPS)) == []


def test_a_class_without_a_pixel_is_named_once_after_the_first_epoch(monitor):
    assert sentences(monitor, [1, 2], labels=(0, 255)) == []

    (warning,) = sentences(monitor, range(3, 20), labels=(0, 255))

    assert warning.startswith("no pixel of bright in the first epoch of 6 images")


def test_a_slow_loader_gives_one_warning_with_both_rates(monitor):
    (warning,) = sentences(monitor, range(1, 3 * WARMUP_STEPS), waiting=0.6)

    assert "waits for images 60 % of the time: 4.0 images/s arrive, it could process 10.0" in warning
    assert "data.workers=2 (now 0)" in warning


def test_a_disk_too_small_for_the_next_checkpoint_gives_one_warning(monitor, tmp_path, monkeypatch):
    (tmp_path / "00000001-00000000-ab.pt").write_bytes(bytes(1000))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda folder: usage._replace(free=1400))

    warnings = [warning for _ in range(2) for warning in monitor.check_disk(tmp_path, 1)]

    assert len(warnings) == 1
    assert "nearly full" in warnings[0].sentence


def test_a_disk_with_enough_space_gives_no_warning(monitor, tmp_path):
    (tmp_path / "00000001-00000000-ab.pt").write_bytes(bytes(1000))

    assert list(monitor.check_disk(tmp_path, 1)) == []


def test_the_warning_proposes_more_workers_than_there_are(images):
    recipe = replace(RECIPE, data=replace(RECIPE.data, workers=3))
    monitor = Monitor(recipe, open_dataset("folder", images, "train"))

    (warning,) = sentences(monitor, range(1, WARMUP_STEPS + 1), waiting=0.5)

    assert "data.workers=6 (now 3)" in warning


@pytest.mark.parametrize(
    ("precision", "device", "cost", "is_slow"),
    [("bf16", "cpu", 9.0, True), ("fp16", "cpu", 9.0, True), ("bf16", "cpu", 0.6, False), ("bf16", "cuda", 9.0, False)],
)
def test_a_processor_that_emulates_the_precision_gives_a_warning(precision, device, cost, is_slow, images, monkeypatch):
    monkeypatch.setattr(monitoring, "relative_cost", lambda precision: cost)
    recipe = replace(RECIPE, train=replace(RECIPE.train, precision=precision))

    warnings = [
        warning.sentence
        for warning in Monitor(recipe, open_dataset("folder", images, "train")).check_processor(device, 0)
    ]

    assert len(warnings) == is_slow
    assert all(f"9.0 x as long for a matrix product in {precision} as in fp32" in text for text in warnings)
    assert all("use train.precision=fp32" in text for text in warnings)


def test_fp32_is_not_measured(monitor, monkeypatch):
    monkeypatch.setattr(monitoring, "relative_cost", lambda precision: pytest.fail("measured"))

    assert list(monitor.check_processor("cpu", 0)) == []
