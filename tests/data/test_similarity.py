import numpy as np
import pytest

from cgrseg.data import similarity as likeness
from cgrseg.data.similarity import NEAR_BITS, groups, image_bits, near_duplicates, signs


def bits(*ones: int) -> np.ndarray:
    """A hash in which the bits of some places are 1."""
    flags = np.zeros(256, np.uint8)
    flags[list(ones)] = 1
    return np.packbits(flags)


def test_near_duplicates_of_near_duplicates_are_in_one_group():
    first, second, third = bits(*range(20)), bits(*range(40)), bits(*range(60))
    other = bits(*range(100, 200))

    assert groups([first, other, third, second]) == [[0, 2, 3], [1]]


def test_images_without_contrast_are_alone():
    flat = image_bits(np.full((40, 40, 3), 90, np.uint8))

    assert groups([flat, None, bits(1), bits(1)]) == [[0], [1], [2, 3]]


def test_no_images_are_no_groups():
    assert groups([]) == []


def scattered(count: int, seed: int) -> np.ndarray:
    """Flags of 256 bits each: some alone, some around a few others, at distances that make chains of them."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2, (count // 6, 256), np.uint8)
    flips = rng.random((count, 256)) < rng.choice([0.02, 0.045, 0.3], (count, 1))
    return centres[rng.integers(0, len(centres), count)] ^ flips


def differing(flags: np.ndarray) -> np.ndarray:
    """How many bits each image has otherwise than each other, counted one by one."""
    return np.array([[int((one != other).sum()) for other in flags] for one in flags])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("chunk", [7, 64, 1000])
def test_groups_are_those_of_comparing_one_by_one(seed, chunk, monkeypatch):
    monkeypatch.setattr(likeness, "CHUNK", chunk)
    flags = scattered(120, seed)
    distances, plain, left = differing(flags), [], set(range(len(flags)))
    while left:
        found, ahead = set(), [min(left)]
        while ahead:
            found.add(place := ahead.pop())
            ahead += [other for other in left - found if distances[place, other] <= NEAR_BITS]
        plain.append(sorted(found))
        left -= found

    assert 1 < len(plain) < len(flags)
    assert groups(list(np.packbits(flags, axis=1))) == plain


@pytest.mark.parametrize("chunk", [7, 1000])
def test_near_duplicates_are_those_of_comparing_one_by_one(chunk, monkeypatch):
    monkeypatch.setattr(likeness, "CHUNK", chunk)
    flags = scattered(120, 0)
    distances = differing(flags)[:50, 50:]
    near = np.flatnonzero(distances.min(axis=1) <= NEAR_BITS)
    table = signs(list(np.packbits(flags, axis=1)))

    found = near_duplicates(table[:50], table[50:])

    assert len(near) > 5
    assert found == [(place, distances[place].argmin()) for place in near]
