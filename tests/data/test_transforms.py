"""The paper's training transforms, one by one and together."""

import cv2
import numpy as np
import pytest

from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, DataConfig
from cgrseg.data import transforms
from cgrseg.data.transforms import (
    fit_size,
    flip,
    is_monotonous,
    linear,
    normalise,
    pad,
    photometric,
    random_crop,
    random_fit,
    shifted_hues,
    train_sample,
)


class Script(np.random.Generator):
    """A generator that gives what a test wrote down; `drawn` holds what was asked for."""

    def __init__(self, *answers):
        super().__init__(np.random.PCG64(0))
        self.answers, self.drawn = list(answers), []

    def integers(self, *bounds):
        self.drawn.append(bounds)
        return self.answers.pop(0)

    def uniform(self, *bounds):
        self.drawn.append(bounds)
        return self.answers.pop(0)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "fit_px", "expected"),
    [
        ((360, 480), (512, 2048), (512, 683)),  # the short side decides
        ((100, 1000), (512, 2048), (205, 2048)),  # the long side decides: 204.8
        ((480, 360), (512, 2048), (683, 512)),
        ((683, 512), (360, 480), (480, 360)),  # 359.8
        ((1, 5000), (512, 2048), (1, 2048)),  # never less than a pixel
    ],
)
def test_an_image_is_fitted_by_the_side_that_binds(size, fit_px, expected):
    assert fit_size(size, fit_px) == expected


def test_the_random_factor_scales_both_sides_and_drops_fractions():
    config = DataConfig(fit_px=(512, 2048), scale=(0.5, 2.0))
    rng = Script(0.777)

    assert random_fit(config, rng) == (397, 1591)  # of 397.8 and 1591.3
    assert rng.drawn == [(0.5, 2.0)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({0: 75, 1: 25}, True),  # exactly the share is too much
        ({0: 74, 1: 26}, False),
        ({0: 100}, True),
        ({0: 30, 255: 70}, True),  # ignored pixels are no class
        ({0: 20, 1: 20, 255: 60}, False),  # and take no part in the share
        ({255: 100}, True),
    ],
)
def test_a_crop_is_monotonous_when_one_class_holds_its_share_of_the_labelled_pixels(counts, expected):
    labels = np.concatenate([np.full(count, label, np.uint8) for label, count in counts.items()]).reshape(10, 10)

    assert is_monotonous(labels, 0.75) == expected


def test_a_crop_is_redrawn_until_it_is_not_monotonous():
    labels = np.zeros((2, 8), np.uint8)
    labels[:, 7] = 1
    image = np.repeat(np.arange(16, dtype=np.uint8).reshape(2, 8)[..., None], 3, axis=2)
    rng = Script(0, 2, 0, 4, 0, 6, 0, 0)

    crop, cut = random_crop(image, labels, (2, 2), 0.75, rng)

    assert cut.tolist() == [[0, 1], [0, 1]]
    assert crop[0, :, 0].tolist() == [6, 7]
    assert rng.drawn == [(1,), (7,)] * 3


def test_the_eleventh_crop_is_taken_unchecked(monkeypatch):
    labels, image = np.zeros((1, 30), np.uint8), noise(1, 30)
    places = [answer for left in range(11) for answer in (0, left)]
    checks = []
    monkeypatch.setattr(transforms, "is_monotonous", lambda labels, share: checks.append(share) or True)

    crop, _ = random_crop(image, labels, (1, 4), 0.75, Script(*places))

    assert (crop == image[:, 10:14]).all()
    assert checks == [0.75] * 10


def test_an_image_smaller_than_the_crop_stays_whole():
    image, labels = noise(3, 20), np.zeros((3, 20), np.uint8)

    crop, cut = random_crop(image, labels, (8, 8), 0.75, np.random.default_rng(0))

    assert crop.shape == (3, 8, 3)
    assert cut.shape == (3, 8)


def test_a_flip_mirrors_image_and_labels():
    image, labels = noise(4, 5), np.arange(20, dtype=np.uint8).reshape(4, 5)

    mirrored, mirrored_labels = flip(image, labels)

    assert (mirrored == image[:, ::-1]).all()
    assert (mirrored_labels == labels[:, ::-1]).all()


def test_tables_clip_and_cut_as_the_arithmetic_does():
    assert linear(1.0, -31.6)[[0, 31, 32, 100, 255]].tolist() == [0, 0, 0, 68, 223]
    assert linear(1.5, 0.0)[[0, 1, 3, 169, 170, 171]].tolist() == [0, 1, 4, 253, 255, 255]
    assert shifted_hues(-18)[[0, 17, 18, 179]].tolist() == [162, 179, 0, 161]
    assert shifted_hues(17)[[0, 162, 163, 179]].tolist() == [17, 179, 0, 16]


def arithmetic(image, steps):
    """The distortion in plain float arithmetic, one step after the other, 8 bits in between."""
    for step, amount in steps:
        if step in ("brightness", "contrast"):
            factor, shift = (1.0, amount) if step == "brightness" else (amount, 0.0)
            image = (image.astype(np.float32) * np.float32(factor) + np.float32(shift)).clip(0, 255).astype(np.uint8)
            continue
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        if step == "saturation":
            hsv[..., 1] = (hsv[..., 1].astype(np.float32) * np.float32(amount)).clip(0, 255).astype(np.uint8)
        else:
            hsv[..., 0] = (hsv[..., 0].astype(int) + amount) % 180
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return image


@pytest.mark.parametrize(
    ("answers", "steps"),
    [
        ((0, 0, 0, 0, 0), []),
        ((1, 20.3, 0, 0, 0, 0), [("brightness", 20.3)]),
        (
            (1, -7.9, 0, 1, 1.31, 1, 0.62, 1, -18),
            [("brightness", -7.9), ("contrast", 1.31), ("saturation", 0.62), ("hue", -18)],
        ),
        ((0, 1, 1, 1.4, 1, 17, 1, 0.7), [("saturation", 1.4), ("hue", 17), ("contrast", 0.7)]),
        ((0, 0, 1, 1.45, 0, 1, 9), [("contrast", 1.45), ("hue", 9)]),
    ],
)
def test_the_distortion_takes_its_steps_in_the_order_of_the_paper(answers, steps):
    image = noise(32, 40)
    rng = Script(*answers)

    distorted = photometric(image, rng)

    assert (distorted == arithmetic(image, steps)).all()
    assert rng.answers == []


def test_the_distortion_draws_within_the_ranges_of_the_paper():
    first, last = Script(1, 0.0, 0, 1, 1.0, 1, 1.0, 1, 0), Script(0, 1, 0, 0, 1, 1.0)

    photometric(noise(4, 4), first)
    photometric(noise(4, 4), last)

    assert first.drawn == [(2,), (-32.0, 32.0), (2,), (2,), (0.5, 1.5), (2,), (0.5, 1.5), (2,), (-18, 18)]
    assert last.drawn == [(2,), (2,), (2,), (2,), (2,), (0.5, 1.5)]


def test_each_distortion_happens_half_of_the_time():
    image = np.full((1, 1, 3), 100, np.uint8)  # gray: hue and saturation leave it as it is

    changed = [(photometric(image, np.random.default_rng(seed)) != image).any() for seed in range(400)]

    assert 0.68 < np.mean(changed) < 0.82  # brightness or contrast: 3 in 4


def test_normalising_puts_channels_first_in_the_networks_units():
    image = noise(5, 6)

    planes = normalise(image, IMAGENET_MEAN, IMAGENET_STD)

    expected = (image - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    assert planes.dtype == np.float32
    np.testing.assert_allclose(planes, expected.transpose(2, 0, 1), rtol=1e-6, atol=1e-7)


def test_padding_fills_right_and_bottom_with_zeros_and_ignore():
    image, labels = np.ones((3, 2, 3), np.float32), np.zeros((2, 3), np.uint8)

    padded, padded_labels = pad(image, labels, (4, 5))

    assert padded.sum() == 18
    assert (padded[:, :2, :3] == 1).all()
    assert (padded_labels == 0).sum() == 6
    assert (padded_labels[2:] == 255).all()
    assert (padded_labels[:, 3:] == 255).all()


def test_normalising_comes_before_padding():
    image, labels = noise(20, 20), np.zeros((20, 20), np.uint8)
    config = DataConfig(fit_px=(20, 20), scale=(1.0, 1.0), flip=0.0)

    sample, cut = train_sample(image, labels, config, (24, 32), np.random.default_rng(0))

    assert sample.shape == (3, 24, 32)
    assert (sample[:, 20:] == 0).all()
    assert (sample[:, :, 20:] == 0).all()
    assert (cut == 255).sum() == 24 * 32 - 20 * 20


def test_labels_stay_under_their_pixels():
    labels = np.random.default_rng(0).integers(0, 2, (12, 16), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    image = np.repeat(labels[..., None] * np.uint8(255), 3, axis=2)
    config = DataConfig(fit_px=(48, 64), scale=(0.5, 2.0), crop_max_share=1.0, photometric=False)

    for seed in range(20):
        sample, cut = train_sample(image, labels, config, (32, 40), np.random.default_rng(seed))
        is_white, is_labelled = sample[0] > 0, cut != 255
        assert (is_white == (cut == 1))[is_labelled].mean() > 0.85  # all but the blurred borders


def test_a_sample_is_a_function_of_its_generator():
    image, labels = noise(40, 50), np.random.default_rng(1).integers(0, 5, (40, 50), dtype=np.uint8)
    config = DataConfig(fit_px=(40, 50))

    first, again, other = (
        train_sample(image, labels, config, (32, 32), np.random.default_rng(s))[0] for s in (7, 7, 8)
    )

    assert (first == again).all()
    assert (first != other).any()
