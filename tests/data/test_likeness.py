import numpy as np

from cgrseg.data.likeness import groups, picture_bits


def bits(*ones: int) -> np.ndarray:
    """A hash in which the bits of some places are 1."""
    flags = np.zeros(256, np.uint8)
    flags[list(ones)] = 1
    return np.packbits(flags)


def test_near_duplicates_of_near_duplicates_are_in_one_group():
    first, second, third = bits(*range(20)), bits(*range(40)), bits(*range(60))
    other = bits(*range(100, 200))

    assert groups([first, other, third, second]) == [[0, 2, 3], [1]]


def test_pictures_without_contrast_are_alone():
    flat = picture_bits(np.full((40, 40, 3), 90, np.uint8))

    assert groups([flat, None, bits(1), bits(1)]) == [[0], [1], [2, 3]]


def test_no_pictures_are_no_groups():
    assert groups([]) == []
