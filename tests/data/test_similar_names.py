"""Frames of videos are told from photos by their looks, and videos from each other by their names."""

import numpy as np
import pytest

from cgrseg.data.images import read_image
from cgrseg.data.similarity import beginnings, groups, image_bits, in_order, series


def frames(count: int, change: float = 0.2) -> list[np.ndarray]:
    """Hashes each of which is the one before with a share of its bits drawn anew."""
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 2, 256, np.uint8)]
    while len(found) < count:
        found.append(found[-1] ^ (rng.random(256) < change))
    return list(np.packbits(np.array(found), axis=1))


def numbered(count: int) -> list[str]:
    return [f"frame{index}" for index in range(count)]


def test_frames_of_a_moving_camera_are_a_series_though_none_is_near_another():
    bits = frames(60)

    assert len(groups(bits)) == len(bits)
    assert len(series(numbered(60), bits)) > 30


def test_the_order_is_that_of_the_names_with_numbers_by_value():
    assert in_order(["b2", "a10", "a9", "a", "b1x"]) == [3, 2, 1, 4, 0]

    bits = frames(60)
    shuffled = np.random.default_rng(1).permutation(60)
    assert series([f"frame{index}" for index in shuffled], [bits[index] for index in shuffled])
    assert not series(numbered(60), [bits[index] for index in shuffled])


@pytest.mark.parametrize("count", [0, 1, 5, 60])
def test_images_of_everything_are_no_series(count):
    assert series(numbered(count), frames(count, change=0.5)[:count]) == []


def test_near_duplicates_say_nothing_of_a_video():
    bits = [each for each in frames(40, change=0.5) for _ in range(3)]

    assert series(numbered(120), bits) == []


def test_flat_images_are_left_out():
    assert len(series(numbered(60), [None, *frames(58), None])) > 30
    assert series(numbered(60), [None] * 60) == []


def test_frames_dealt_out_to_two_splits_are_told_and_parts_of_a_video_are_not():
    dealt = ["val" if index % 5 == 0 else "train" for index in range(200)]
    parts = ["val" if index > 160 else "train" for index in range(200)]

    assert len(series(numbered(200), frames(200), dealt)) > 60
    assert series(numbered(200), frames(200), parts) == []


def test_real_frames_are_a_series_and_real_photos_are_none(shared_data):
    def looks(folder: str) -> tuple[list[str], list]:
        files = sorted((shared_data / folder).iterdir())
        return [file.stem for file in files], [image_bits(read_image(file)) for file in files]

    assert series(*looks("camvid/images/train"))
    assert not series(*looks("coco_stuff164k_more/images/train2017"))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"0001TP_": 9, "0006R0_f": 7}, ("0006R0_f", "0001TP_")),
        ({"IMG_": 30}, ()),
        ({"": 10, "b": 10}, ()),
        ({"a_": 10, "b_": 2}, ()),
        ({f"photo of {letter} ": 5 for letter in "abcdefghijklmnopqrstuvwxyz"}, ()),
    ],
)
def test_a_few_videos_are_told_by_how_names_begin_the_shortest_first(names, found):
    assert beginnings(f"{begin}{frame:04}" for begin, count in names.items() for frame in range(count)) == found
