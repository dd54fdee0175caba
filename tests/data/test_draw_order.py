"""Which image comes when is a function of its number in the run."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cgrseg.classes import named
from cgrseg.data import loader
from cgrseg.data.datasets.labelled import LabelledImages, Pair, lookup_of
from cgrseg.data.loader import DrawOrder, repeat_factors


def images(counts, shares=None):
    """Images that exist in name only; a count for each source."""
    pairs = [
        Pair(f"{source}/{place}", Path("none"), Path("none"), source if shares else "")
        for source, count in counts.items()
        for place in range(count)
    ]
    return LabelledImages("folder", "train", named(("a", "b")), tuple(pairs), lookup_of((0, 1)), shares=shares or {})


def drawn(order, numbers):
    return [order[number] for number in numbers]


def test_every_image_comes_once_in_each_pass_in_a_new_order():
    order = DrawOrder(images({"a": 5}), 1)

    passes = [drawn(order, range(start, start + 5)) for start in range(0, 50, 5)]

    assert all(sorted(each) == [0, 1, 2, 3, 4] for each in passes)
    assert len({tuple(each) for each in passes}) > 1


def test_one_data_set_is_drawn_as_it_always_was():
    expected = [np.random.default_rng((1, epoch, 2**31)).permutation(7).tolist() for epoch in range(2)]

    assert drawn(DrawOrder(images({"a": 7}), 1), range(14)) == expected[0] + expected[1]


def test_sources_come_by_their_shares_in_every_block_and_each_in_passes_of_its_own():
    counts, shares = {"a": 30, "b": 7, "c": 400}, {"a": 0.5, "b": 0.2996, "c": 0.2004}
    order = DrawOrder(images(counts, shares), 3)

    numbers = drawn(order, range(3000))

    for start in range(0, 3000, loader.BLOCK):
        block = np.array(numbers[start : start + loader.BLOCK])
        assert [(block < 30).sum(), ((block >= 30) & (block < 37)).sum(), (block >= 37).sum()] == [500, 300, 200]
    of_b = [number for number in numbers if 30 <= number < 37]
    passes = [of_b[start : start + 7] for start in range(0, len(of_b) - 6, 7)]
    assert all(sorted(each) == list(range(30, 37)) for each in passes)


def test_a_draw_does_not_depend_on_those_before_it():
    dataset = images({"a": 30, "b": 7}, {"a": 0.7, "b": 0.3})
    forwards, copy = DrawOrder(dataset, 3), pickle.loads(pickle.dumps(DrawOrder(dataset, 3, np.full(37, 1.5))))

    numbers = drawn(forwards, range(2500))

    assert drawn(DrawOrder(dataset, 3), reversed(range(2500))) == numbers[::-1]
    assert drawn(copy, range(200)) == drawn(DrawOrder(dataset, 3, np.full(37, 1.5)), range(200))


def test_an_image_comes_as_often_in_a_pass_as_its_factor_says():
    factors = np.array([1.0, 1.0, 2.5, 1.25, 3.25])
    order = DrawOrder(images({"a": 5}), 0, factors)
    length = 9

    passes = [Counter(drawn(order, range(start, start + length))) for start in range(0, 400 * length, length)]

    for place, factor in enumerate(factors):
        times = [each[place] for each in passes]
        assert set(times) <= {int(np.floor(factor)), int(np.ceil(factor))}
        assert np.mean(times) == pytest.approx(factor, abs=0.1)


def test_images_of_rare_classes_come_more_often(monkeypatch):
    dataset = images({"a": 8, "b": 2}, {"a": 0.9, "b": 0.1})
    counts = np.ones((10, 2), np.int64)
    counts[:9, 1] = 0  # only the last image has the second class: half of b's images, 0.05 of what is drawn
    monkeypatch.setattr(LabelledImages, "class_counts", lambda _: counts)

    factors, most = repeat_factors(dataset, 0.2), repeat_factors(dataset, 1.0)

    assert factors.tolist() == pytest.approx([1.0] * 9 + [2.0])
    assert most[9] == pytest.approx(np.sqrt(1 / 0.05))
    assert repeat_factors(dataset, 0.0).tolist() == [1.0] * 10
