"""Samples of a data set, before and after the transforms of training."""

import numpy as np
import pytest
from support.planted import NAMES, make_folder

from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig
from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.data.samples import areas, denormalised, draw_samples
from cgrseg.data.transforms import normalise

PLAIN = DataConfig(fit_px=(48, 64), scale=(1.0, 1.0), crops_px=((64, 96),), flip=0.0, photometric=False)
"""Transforms that leave an image of 64 x 48 as it is, but for the padding."""


@pytest.fixture
def dataset(tmp_path) -> LabelledImages:
    return open_dataset("folder", make_folder(tmp_path / "mine"), "train")


def test_samples_are_different_images_in_their_order(dataset):
    names = [sample.name for sample in draw_samples(dataset, PLAIN, 4, seed=1)]

    assert len(set(names)) == 4
    assert names == sorted(names)


def test_a_small_data_set_is_shown_whole(dataset):
    assert len(draw_samples(dataset, PLAIN, 50, seed=0)) == len(dataset)


def test_the_same_seed_gives_the_same_samples(dataset):
    config = DataConfig(fit_px=(48, 64), crops_px=((32, 32), (32, 64)))

    one, again, other = (draw_samples(dataset, config, 6, seed) for seed in (3, 3, 4))

    assert all(np.array_equal(a.seen, b.seen) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a.seen, b.seen) for a, b in zip(one, other, strict=True))


def test_what_training_sees_is_the_image_with_gray_padding_and_no_label_there(dataset):
    sample = draw_samples(dataset, PLAIN, 1, seed=0)[0]

    assert sample.seen.shape == (64, 96, 3)
    np.testing.assert_array_equal(sample.seen[:48, :64], sample.image)
    np.testing.assert_array_equal(sample.seen_labels[:48, :64], sample.labels)
    assert sample.seen[60, 90].tolist() == [124, 116, 104]
    assert (sample.seen_labels[:, 64:] == 255).all()


def test_normalising_is_undone():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)

    np.testing.assert_array_equal(denormalised(normalise(image, IMAGENET_MEAN, IMAGENET_STD)), image)


def test_areas_are_shares_of_all_pixels_of_the_samples(dataset):
    samples = draw_samples(dataset, PLAIN, 6, seed=0)

    shares = areas(samples, dataset)

    unlabelled = np.mean([sample.labels == 255 for sample in samples])
    assert set(shares) == set(NAMES)
    assert sum(shares.values()) == pytest.approx(1 - unlabelled)
