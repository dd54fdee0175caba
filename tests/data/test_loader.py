"""Batches are a function of (seed, step, place), whoever prepares them."""

import dataclasses
import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image

from cgrseg.config import DataConfig
from cgrseg.data import loader
from cgrseg.data.datasets import open_dataset
from cgrseg.data.loader import Share, draw_crop, training_batches
from cgrseg.errors import DatasetError, TrainingError

CONFIG = DataConfig(fit_px=(24, 32), crops_px=((16, 24), (24, 16)), workers=0)


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("images", "annotations"):
        (tmp_path / folder / "train").mkdir(parents=True)
    for place in range(5):
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(tmp_path / f"images/train/{place}.png")
        labels = rng.integers(0, 3, (24, 32), dtype=np.uint8)
        Image.fromarray(labels).save(tmp_path / f"annotations/train/{place}.png")
    (tmp_path / "classes.txt").write_text("a\nb\nc")
    return open_dataset("folder", tmp_path, "train")


def batches(dataset, first_step=0, last_step=4, workers=0, seed=1, positions=slice(None)):
    config = dataclasses.replace(CONFIG, workers=workers)
    share = Share(batch_size=3, seed=seed, steps=range(first_step, last_step), positions=positions)
    return list(training_batches(dataset, config, share))


def same(one, other):
    return (
        (one.step, one.names) == (other.step, other.names)
        and torch.equal(one.images, other.images)
        and torch.equal(one.labels, other.labels)
    )


def test_a_batch_has_the_crop_of_its_step(dataset):
    for step, batch in enumerate(batches(dataset)):
        crop_px = draw_crop(CONFIG, 1, step)
        assert batch.step == step
        assert batch.images.shape == (3, 3, *crop_px)
        assert batch.labels.shape == (3, *crop_px)
        assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.uint8)


def test_every_crop_size_is_drawn():
    assert {draw_crop(CONFIG, 1, step) for step in range(20)} == set(CONFIG.crops_px)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # torch's own workers, from 3.12
def test_batches_are_the_same_for_any_number_of_workers(dataset):
    alone, shared = batches(dataset), batches(dataset, workers=2)

    assert len(alone) == len(shared) == 4
    assert all(same(*pair) for pair in zip(alone, shared, strict=True))


def test_resuming_gives_the_batches_that_were_left(dataset):
    whole, rest = batches(dataset), batches(dataset, first_step=2)

    assert [batch.step for batch in rest] == [2, 3]
    assert all(same(*pair) for pair in zip(whole[2:], rest, strict=True))


def test_another_seed_gives_other_batches(dataset):
    assert not same(batches(dataset)[0], batches(dataset, seed=2)[0])


def test_one_image_twice_in_a_batch_is_transformed_twice(dataset):
    single = dataclasses.replace(dataset, pairs=dataset.pairs[:1])

    images = batches(single, last_step=1)[0].images

    assert not torch.equal(images[0], images[1])


def test_the_networks_random_numbers_are_left_alone(dataset):
    torch.manual_seed(0)
    before = torch.get_rng_state()

    batches(dataset)

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # torch's own workers, from 3.12
@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_label_surfaces_as_one_sentence_from_any_process(dataset, workers):
    Image.new("L", (32, 24), 9).save(dataset.pairs[2].labels)

    with pytest.raises(DatasetError, match=r"annotations/train/2\.png holds the value 9 in 768 pixels") as raised:
        batches(dataset, workers=workers)

    assert "Traceback" not in str(raised.value)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # torch's own workers, from 3.12
def test_a_worker_that_dies_is_one_sentence(dataset, monkeypatch):
    monkeypatch.setattr(loader, "train_sample", lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    with pytest.raises(TrainingError, match=r"prepares images died: .*try fewer data\.workers \(now 1\)"):
        batches(dataset, workers=1)


def test_processes_read_the_places_of_a_batch_that_are_theirs(dataset):
    whole = batches(dataset)
    parts = [batches(dataset, positions=slice(0, 1)), batches(dataset, positions=slice(1, 3))]

    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(batch.images, torch.cat([first.images, second.images]))
        assert batch.names == first.names + second.names


def test_a_fault_of_ours_names_the_image(dataset, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(loader, "train_sample", fail)

    with pytest.raises(ZeroDivisionError) as raised:
        batches(dataset)

    assert "images/train/" in raised.value.__notes__[0]
    assert "step 0" in raised.value.__notes__[0]


@pytest.mark.parametrize(("bound", "reads"), [(10**6, 5), (0, 12)])
def test_images_are_decoded_once_when_all_fit_in_the_cache(dataset, monkeypatch, bound, reads):
    read = []
    image = type(dataset).image
    monkeypatch.setattr(loader, "CACHE_BYTES", bound)
    monkeypatch.setattr(type(dataset), "image", lambda self, index: read.append(index) or image(self, index))

    batches(dataset)

    assert len(read) == reads


@pytest.mark.parametrize(("free", "is_enough"), [(74_879, False), (74_880, True), (None, True)])
def test_batches_that_do_not_fit_into_shared_memory_are_refused_before_they_are_prepared(monkeypatch, free, is_enough):
    monkeypatch.setattr(loader, "free_shared_memory", lambda: free)
    config, share = dataclasses.replace(CONFIG, workers=2), Share(batch_size=3, seed=0, steps=range(1))

    if is_enough:  # (2 workers x 2 + 1) batches of 3 images of 16 x 24 pixels of 13 bytes are 74,880 bytes
        loader.require_shared_memory(config, share)
        return
    with pytest.raises(TrainingError, match=r"the shared memory /dev/shm has 0 MiB free.*data\.workers=0.*--shm-size"):
        loader.require_shared_memory(config, share)
    loader.require_shared_memory(CONFIG, share)


@pytest.mark.parametrize(
    "words",
    [
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that workers are out of memory.",
        "unable to write to file </torch_7_1>: No space left on device (28) in shared memory",
    ],
)
def test_a_worker_that_dies_of_small_shared_memory_names_it(dataset, monkeypatch, words):
    def fail(*_, **__):
        raise RuntimeError(words)
        yield

    monkeypatch.setattr(loader, "DataLoader", fail)

    with pytest.raises(
        TrainingError, match=r"/dev/shm is too small: set data\.workers=0, or start the container"
    ) as told:
        batches(dataset)
    assert told.value.setting == "data.workers"
