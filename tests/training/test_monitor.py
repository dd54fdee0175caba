import shutil
from dataclasses import replace

import pytest
import torch
from support.tiny import RECIPE

from cgrseg.data.datasets import open_dataset
from cgrseg.data.loader import Batch
from cgrseg.training import checkpoint as state
from cgrseg.training import monitor as watching
from cgrseg.training.loggers import Stepped
from cgrseg.training.monitor import SETTLED, Guards


@pytest.fixture
def guards(images):
    return Guards(RECIPE, open_dataset("folder", images, "train"))


def batch(*labels) -> Batch:
    maps = torch.tensor(labels, dtype=torch.uint8).expand(2, 1, -1)
    return Batch(0, torch.zeros(2, 3, *maps.shape[1:]), maps, ("a", "b"))


def stepped(step, waiting=0.0) -> Stepped:
    return Stepped(step=step, loss=1.0, lr=0.1, gradient=1.0, pictures_per_s=4.0, data_share=waiting)


def sentences(guards, steps, labels=(0, 1), waiting=0.0) -> list[str]:
    return [told.sentence for step in steps for told in guards.look(batch(*labels), stepped(step, waiting))]


def test_a_sound_run_is_left_in_peace(guards):
    assert sentences(guards, range(1, 2 * SETTLED)) == []


def test_a_class_that_never_came_is_named_once_after_a_pass_over_the_images(guards):
    assert sentences(guards, [1, 2], labels=(0, 255)) == []

    (told,) = sentences(guards, range(3, 20), labels=(0, 255))

    assert told.startswith("no pixel of bright in a first pass over 6 images")


def test_a_loader_slower_than_the_network_is_told_once_with_both_rates(guards):
    (told,) = sentences(guards, range(1, 3 * SETTLED), waiting=0.6)

    assert "waits for images 60 % of the time: 4.0 a second arrive, it could take 10.0" in told
    assert "data.workers=2 (now 0)" in told


def test_a_disk_that_the_next_state_may_not_fit_on_is_told_once(guards, tmp_path, monkeypatch):
    (tmp_path / "00000001-00000000-ab.pt").write_bytes(bytes(1000))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(state.shutil, "disk_usage", lambda folder: usage._replace(free=1400))

    told = [warning for _ in range(2) for warning in guards.look_at_disk(tmp_path, 1)]

    assert len(told) == 1
    assert "nearly full" in told[0].sentence


def test_a_disk_with_room_is_no_news(guards, tmp_path):
    (tmp_path / "00000001-00000000-ab.pt").write_bytes(bytes(1000))

    assert list(guards.look_at_disk(tmp_path, 1)) == []


def test_more_workers_are_proposed_than_there_are(images):
    recipe = replace(RECIPE, data=replace(RECIPE.data, workers=3))
    guards = Guards(recipe, open_dataset("folder", images, "train"))

    (told,) = sentences(guards, range(1, SETTLED + 1), waiting=0.5)

    assert "data.workers=6 (now 3)" in told


@pytest.mark.parametrize(
    ("precision", "device", "cost", "is_told"),
    [("bf16", "cpu", 9.0, True), ("fp16", "cpu", 9.0, True), ("bf16", "cpu", 0.6, False), ("bf16", "cuda", 9.0, False)],
)
def test_a_processor_that_emulates_the_arithmetic_is_told_before_the_first_step(
    precision, device, cost, is_told, images, monkeypatch
):
    monkeypatch.setattr(watching, "cost_of", lambda precision: cost)
    recipe = replace(RECIPE, train=replace(RECIPE.train, precision=precision))

    told = [
        each.sentence for each in Guards(recipe, open_dataset("folder", images, "train")).look_at_processor(device, 0)
    ]

    assert len(told) == is_told
    assert all(f"9.0 x as long in {precision} as in fp32" in text for text in told)
    assert all("--set train.precision=fp32" in text for text in told)


def test_nothing_is_measured_where_the_arithmetic_is_full(guards, monkeypatch):
    monkeypatch.setattr(watching, "cost_of", lambda precision: pytest.fail("measured"))

    assert list(guards.look_at_processor("cpu", 0)) == []
