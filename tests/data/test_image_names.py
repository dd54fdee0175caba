"""Which images a source means, and that no two results get the same name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from cgrseg.data.images import name_images
from cgrseg.errors import ImageError


@pytest.fixture
def write(tmp_path):
    def write(name: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(np.zeros((2, 2, 3), np.uint8)).save(path)

    return write


@pytest.mark.parametrize(
    ("files", "sources", "names"),
    [
        (["photo.jpg"], ["photo.jpg"], ["photo"]),
        (["x/photo.jpg", "y/photo.jpg"], ["."], ["x/photo", "y/photo"]),
        (["x/photo.jpg", "y/photo.jpg"], ["*/photo.jpg"], ["x/photo", "y/photo"]),
        (["x/photo.jpg", "y/photo.jpg"], ["x", "y"], ["x/photo", "y/photo"]),
        (["x/photo.jpg", "y/photo.jpg"], ["x/photo.jpg", "y/photo.jpg"], ["x/photo", "y/photo"]),
        (["x/sub/photo.jpg"], ["x"], ["sub/photo"]),
        (["a.jpg", "b.jpg"], ["b.jpg", "a*.jpg"], ["b", "a"]),
        (["photo.jpg", "photo.png"], ["."], ["photo_jpg", "photo_png"]),
        (["photo.jpg", "photo.png", "photo_jpg.png"], ["."], ["photo_jpg_", "photo_png", "photo_jpg"]),
        (["Photo.jpg", "photo.png"], ["."], ["Photo_jpg", "photo_png"]),
        (["photo.v2.jpg", "photo.v3.jpg"], ["."], ["photo.v2", "photo.v3"]),
        (["photo.jpg"], ["photo.jpg", "."], ["photo"]),
    ],
)
def test_no_two_images_get_the_same_name(write, tmp_path, files, sources, names):
    for file in files:
        write(file)

    named = name_images([str(tmp_path / source) for source in sources])

    assert [name for _, name in named] == names


def test_relative_sources_are_named_like_absolute_ones(write, tmp_path, monkeypatch):
    write("photos/x/photo.jpg")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    assert name_images(["../photos"]) == [(Path("../photos/x/photo.jpg"), "x/photo")]


def test_overlapping_sources_name_each_image_once(write, tmp_path):
    for name in ("a/one.jpg", "a/b/two.jpg"):
        write(name)

    named = name_images([tmp_path / "a", tmp_path / "a/b", tmp_path / "a/one.jpg"])

    assert sorted(name for _, name in named) == ["b/two", "one"]


def test_the_folder_of_the_results_is_left_out_unless_it_is_asked_for(write, tmp_path):
    for name in ("photo.jpg", "out/photo.png", "out/photo_overlay.jpg"):
        write(name)

    assert [name for _, name in name_images([tmp_path], skip=tmp_path / "out")] == ["photo"]
    assert len(name_images([tmp_path / "out"], skip=tmp_path / "out")) == 2


def test_a_folder_with_nothing_but_results_is_an_error(write, tmp_path):
    write("out/photo.png")

    with pytest.raises(ImageError, match="holds no images but those in"):
        name_images([tmp_path], skip=tmp_path / "out")
