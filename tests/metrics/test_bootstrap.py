import numpy as np
import pytest

from cgrseg.metrics import bootstrap
from cgrseg.metrics.bootstrap import Areas, interval, resample


def some_areas(images, classes, seed=0):
    rng = np.random.default_rng(seed)
    unions = rng.integers(0, 50, (images, classes)) * (rng.random((images, classes)) < 0.7)
    return Areas((unions * rng.random((images, classes))).astype(np.int64), unions.astype(np.int64))


def test_each_draw_scores_the_images_drawn(monkeypatch):
    areas = some_areas(4, 3)
    monkeypatch.setattr(bootstrap, "DRAWS", 25)
    monkeypatch.setattr(bootstrap, "AT_A_TIME", 10)
    drawn = np.concatenate(list(bootstrap._draws(4))).astype(int)

    resampled = resample(areas)

    assert drawn.shape == (25, 4)
    assert (drawn.sum(axis=1) == 4).all()
    mious = areas.image_miou()
    for row, times in enumerate(drawn):
        picked = np.repeat(np.arange(4), times)
        hits, unions = areas.hits[picked].sum(axis=0), areas.unions[picked].sum(axis=0)
        assert resampled.miou[row] == pytest.approx(np.mean(hits[unions > 0] / unions[unions > 0]))
        assert resampled.image_miou[row] == pytest.approx(np.nanmean(mious[picked]))


def test_the_same_images_are_drawn_each_time():
    first, second = resample(some_areas(9, 3)), resample(some_areas(9, 3))

    assert (first.miou == second.miou).all()
    assert len(first.miou) == 1000


def test_the_interval_of_a_mean_is_about_that_of_its_standard_error():
    rng = np.random.default_rng(1)
    hits = rng.integers(0, 1001, (400, 1))
    areas = Areas(hits, np.full((400, 1), 1000))

    low, high = interval(resample(areas).image_miou)

    error = (hits / 1000).std() / 20
    assert low == pytest.approx((hits / 1000).mean() - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx((hits / 1000).mean() + 1.96 * error, abs=0.2 * error)


def test_one_image_has_an_interval_without_width():
    areas = some_areas(1, 5)

    assert interval(resample(areas).miou) == pytest.approx((areas.image_miou()[0],) * 2)


def test_nothing_labelled_has_no_interval():
    nothing = Areas(np.zeros((3, 2), np.int64), np.zeros((3, 2), np.int64))

    resampled = resample(nothing)

    assert interval(resampled.miou) is None
    assert interval(resampled.image_miou) is None
