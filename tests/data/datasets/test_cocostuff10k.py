"""COCO-Stuff 10k: MATLAB files in the layout of the release, and the look-alikes that are refused."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from cgrseg.classes import read_published
from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError, MissingExtra

STEM = "COCO_train2014_000000000077"


def write_mat(file, values, names=183):
    cell = np.array([f"name {place}" for place in range(names)], object)[:, None]
    savemat(file, {"S": values, "names": cell, "captions": np.array(["a street"], object)})


@pytest.fixture
def cocostuff(tmp_path):
    """One image in the test list, one in the train list; a third has files but is in no list."""
    for folder in ("images", "annotations", "imageLists"):
        (tmp_path / folder).mkdir()
    for stem in (STEM, f"{STEM}1", f"{STEM}2"):
        Image.new("RGB", (3, 2)).save(tmp_path / "images" / f"{stem}.jpg")
        write_mat(tmp_path / "annotations" / f"{stem}.mat", np.array([[0, 1, 11], [13, 92, 182]], np.uint16))
    (tmp_path / "imageLists/train.txt").write_text(f"{STEM}1\n")
    (tmp_path / "imageLists/test.txt").write_text(f"{STEM}\n")
    return tmp_path


def test_values_of_the_release_become_171_classes(cocostuff):
    assert open_dataset("cocostuff10k", cocostuff, "train").labels(0).tolist() == [[255, 0, 10], [11, 80, 170]]


def test_val_is_the_official_test_list(cocostuff):
    assert [pair.name for pair in open_dataset("cocostuff10k", cocostuff, "val").pairs] == [STEM]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
def test_matlab_may_keep_the_values_in_any_type(cocostuff, dtype):
    write_mat(cocostuff / f"annotations/{STEM}.mat", np.array([[0, 1, 2], [3, 4, 5]], dtype))

    assert open_dataset("cocostuff10k", cocostuff, "val").labels(0).tolist() == [[255, 0, 1], [2, 3, 4]]


@pytest.mark.parametrize("strange", [-1.0, 0.5, 1e9, np.nan])
def test_what_is_no_label_map_is_refused(cocostuff, strange):
    write_mat(cocostuff / f"annotations/{STEM}.mat", np.full((2, 3), strange))

    with pytest.raises(DatasetError, match=r"its label map is float64 \(2, 3\) where one whole number per pixel is"):
        open_dataset("cocostuff10k", cocostuff, "val").labels(0)


def test_the_older_release_is_told_by_its_names_since_its_values_pass(cocostuff):
    write_mat(cocostuff / f"annotations/{STEM}.mat", np.full((2, 3), 2, np.uint16), names=172)

    with pytest.raises(DatasetError, match=r"names 172 classes, as v1\.0 does.*cocostuff-10k-v1\.1\.zip"):
        open_dataset("cocostuff10k", cocostuff, "val").labels(0)


def test_a_file_without_the_label_map_is_refused(cocostuff):
    savemat(cocostuff / f"annotations/{STEM}.mat", {"regionMapStuff": np.zeros((2, 3))})

    with pytest.raises(DatasetError, match=r"holds no array 'S'"):
        open_dataset("cocostuff10k", cocostuff, "val").labels(0)


@pytest.mark.parametrize("content", [b"", b"not a MATLAB file at all" * 20])
def test_a_damaged_file_is_one_sentence(cocostuff, content):
    (cocostuff / f"annotations/{STEM}.mat").write_bytes(content)

    with pytest.raises(DatasetError, match=rf"{STEM}\.mat cannot be read as a MATLAB file"):
        open_dataset("cocostuff10k", cocostuff, "val").labels(0)


def test_without_scipy_the_pip_line_is_given(cocostuff, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.io", None)

    with pytest.raises(MissingExtra, match=rf"reading {STEM}\.mat needs SciPy; run: pip install 'cgrseg\[data\]'"):
        open_dataset("cocostuff10k", cocostuff, "val").labels(0)


def test_a_file_of_the_annotation_tool_is_refused_by_name(cocostuff, shared_data):
    (tool,) = (shared_data / "coco_stuff10k_emulated/annotator_example").glob("*.mat")
    shutil.copy(tool, cocostuff / f"annotations/{STEM}.mat")

    with pytest.raises(DatasetError, match=r"MATLAB 7\.3 file, as the annotation tool of COCO-Stuff writes"):
        open_dataset("cocostuff10k", cocostuff, "val").labels(0)


@pytest.mark.parametrize(("split", "listing", "count"), [("train", "train", 6), ("val", "test", 2)])
def test_the_sample_reads_pixel_for_pixel(shared_data, split, listing, count):
    root = shared_data / "coco_stuff10k_emulated"
    known = read_published("cocostuff10k")
    dataset = open_dataset("cocostuff10k", root, split)

    assert [pair.name for pair in dataset.pairs] == (root / f"imageLists/{listing}.txt").read_text().split()
    assert len(dataset) == count
    for index, pair in enumerate(dataset.pairs):
        file = loadmat(root / "annotations" / f"{pair.name}.mat")
        names = np.array([entry[0][0] for entry in file["names"]])
        labels = dataset.labels(index)
        assert np.array_equal(labels == 255, file["S"] == 0)
        assert np.array_equal(np.array(known.classes.names)[labels[labels < 255]], names[file["S"][labels < 255]])


def test_both_releases_give_one_image_the_same_labels(shared_data):
    small = open_dataset("cocostuff10k", shared_data / "coco_stuff10k_emulated", "train")
    large = open_dataset("cocostuff164k", shared_data / "coco_stuff164k", "train")
    places = {pair.name[-12:]: index for index, pair in enumerate(small.pairs)}
    shared = [(places[pair.name], index) for index, pair in enumerate(large.pairs) if pair.name in places]

    assert len(shared) == 6
    assert all(np.array_equal(small.labels(one), large.labels(other)) for one, other in shared)
