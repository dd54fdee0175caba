"""Splitting by content: scenes stay together, classes come on both sides, names do not matter."""

import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.data.split import Scene, choose, split_by_content
from cgrseg.errors import DatasetError


def draw(root: Path, name: str, seed: int, label: int, noise: int = 0) -> None:
    """An image of the scene `seed`, all of one class but its first row."""
    rng = np.random.default_rng(seed)
    scene = cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (48, 48), interpolation=cv2.INTER_CUBIC)
    image = np.clip(scene.astype(int) + np.random.default_rng(noise).integers(-3, 4, scene.shape), 0, 255)
    labels = np.full((48, 48), label, np.uint8)
    labels[0] = 0
    for part, pixels, suffix in (("images", image.astype(np.uint8), "png"), ("annotations", labels, "png")):
        (root / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(root / part / f"{name}.{suffix}")


@pytest.fixture
def photos(tmp_path):
    """Ten scenes of three frames each; the class 2 is in two of them, the class 3 in one."""
    root = tmp_path / "photos"
    for scene in range(10):
        for frame in range(3):
            draw(root, f"{scene}_{frame}", scene, {0: 2, 1: 2, 2: 3}.get(scene, 1), noise=frame)
    (root / "classes.txt").write_text("zero\none\ntwo\nthree\n", encoding="utf-8")
    return root


def test_scenes_stay_together_and_a_third_at_most_is_held_out(photos):
    split = split_by_content(open_dataset("folder", photos, "train"))

    frames = Counter(name.split("_")[0] for name in split.names)
    assert split.scenes == 10
    assert set(frames.values()) == {3}
    assert 6 <= len(split.names) <= 10


def test_a_class_of_two_scenes_is_on_both_sides_and_one_of_a_single_scene_is_learnt(photos):
    split = split_by_content(open_dataset("folder", photos, "train"))

    held = {name.split("_")[0] for name in split.names}
    assert len(held & {"0", "1"}) == 1
    assert split.one_sided == ("three",)


def test_names_do_not_matter(photos, tmp_path):
    first = split_by_content(open_dataset("folder", photos, "train"))
    other = tmp_path / "other"
    renamed = {
        f"{scene}_{frame}": f"{(7 * scene + frame) % 30:02}x{scene}_{frame}"
        for scene in range(10)
        for frame in range(3)
    }
    for part in ("images", "annotations"):
        (other / part).mkdir(parents=True)
        for old, new in renamed.items():
            shutil.copy(photos / part / f"{old}.png", other / part / f"{new}.png")
    shutil.copy(photos / "classes.txt", other)

    second = split_by_content(open_dataset("folder", other, "train"))

    assert {renamed[name] for name in first.names} == set(second.names)


def test_one_scene_alone_cannot_be_split(tmp_path):
    for frame in range(4):
        draw(tmp_path, f"{frame}", 0, 1, noise=frame)
    (tmp_path / "classes.txt").write_text("zero\none\n", encoding="utf-8")

    with pytest.raises(DatasetError, match=r"the 4 images of train look like one scene.*images/val"):
        split_by_content(open_dataset("folder", tmp_path, "train"))


def scenes(*sizes: int) -> list[Scene]:
    indices = iter(range(sum(sizes)))
    return [
        Scene(tuple(next(indices) for _ in range(size)), frozenset({0}), f"{index:03}")
        for index, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(("images", "held"), [(20, 6), (60, 20), (100, 20), (200, 40), (1000, 200)])
def test_a_fifth_is_held_out_and_at_least_twenty_where_a_third_allows_it(images, held):
    assert len(choose(scenes(*[1] * images))) == held


def test_a_scene_larger_than_a_third_is_learnt():
    held = choose(scenes(50, 1, 1, 1, 1, 1, 1))

    assert {len(scene.indices) for scene in held} == {1}
    assert len(held) == 6


def test_of_two_scenes_the_smaller_is_held_out():
    assert [len(scene.indices) for scene in choose(scenes(5, 3))] == [3]


def test_frames_of_videos_are_told_by_their_looks(tmp_path):
    rng = np.random.default_rng(0)
    for video in ("left", "right"):
        scenery = cv2.resize(rng.integers(0, 256, (12, 40), np.uint8), (320, 96), interpolation=cv2.INTER_CUBIC)
        for frame in range(20):
            image = scenery[:, 4 * frame : 4 * frame + 128]
            for folder, pixels in (("images", image), ("annotations", image > 128)):
                (tmp_path / folder).mkdir(exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / folder / f"{video}{frame:03}.png")
    (tmp_path / "classes.txt").write_text("zero\none\n", encoding="utf-8")

    split = split_by_content(open_dataset("folder", tmp_path, "train"))

    assert split.videos == ("left", "right")


def test_images_of_everything_are_no_videos(photos):
    assert split_by_content(open_dataset("folder", photos, "train")).videos is None
