"""What folders and patterns hold besides the images that are read: each sort in one line."""

import logging

import numpy as np
import pytest
from PIL import Image
from support.colour_engine import ColourEngine, colour_info

from cgrseg.data.images import find_images
from cgrseg.data.left_out import left_out
from cgrseg.errors import ImageError
from cgrseg.predictor import Segmenter


@pytest.fixture
def album(tmp_path):
    """A folder with one image that is read and much that is not."""
    folder, other = tmp_path / "album", tmp_path / "other"
    for name in ("album/a.png", "other/b.png", "other/c.png", "album/.thumbs/a.png", "album/sub/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    for name in ("._a.png", "b.heic", "c.HEIC", "d.NEF", "notes.txt", "Thumbs.db", ".DS_Store"):
        (folder / name).touch()
    (folder / "linked").symlink_to(other, target_is_directory=True)
    (folder / "dead.jpg").symlink_to("nowhere.jpg")
    return folder


def sentences(groups):
    return [str(group).partition(";")[0] for group in groups]


def test_each_sort_that_a_folder_holds_besides_is_one_line(album):
    assert sentences(left_out([album])) == [
        f"2 images in linked folders are left out, such as {album}/linked/b.png",
        f"2 files ending in .heic are left out, such as {album}/b.heic",
        f"1 file ending in .nef is left out, such as {album}/d.NEF",
        f"2 hidden images are left out, such as {album}/._a.png",
        f"1 link to no file is left out, such as {album}/dead.jpg",
        f"1 file of other kinds (.txt) is left out, such as {album}/notes.txt",
    ]


def test_folders_that_a_pattern_matches_are_not_entered_and_that_is_told(album):
    groups = sentences(left_out([f"{album}/*"]))

    assert groups[0] == f"3 images in folders that a pattern matches are left out, such as {album}/linked/b.png"
    assert not [group for group in groups if "link to no file" in group]  # it fails like any image of its own


def test_a_folder_of_images_alone_and_a_file_give_no_line(album):
    assert left_out([album / "sub", album / "notes.txt"]) == []


def test_the_folder_of_results_is_not_looked_at(album):
    assert left_out([album], skip=album) == []


def test_a_stream_warns_before_its_first_result(album, caplog):
    segmenter = Segmenter(ColourEngine(), colour_info())

    with caplog.at_level(logging.WARNING):
        results = list(segmenter.stream(album))

    assert len(results) == 2
    assert caplog.messages == [str(group) for group in left_out([album])]


def test_a_folder_of_other_formats_only_says_which(tmp_path):
    for name in ("a.heic", "b.heic", "c.txt"):
        (tmp_path / name).touch()

    with pytest.raises(ImageError, match=r"holds no images, only files of other kinds \(2 \.heic, 1 \.txt\)"):
        find_images(tmp_path)
