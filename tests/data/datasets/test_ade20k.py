"""ADE20K: the official layout made small, and the real files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError

VALUES = np.arange(152, dtype=np.uint8).reshape(8, 19)[:, :18]


@pytest.fixture
def ade20k(tmp_path):
    root = tmp_path / "ADEChallengeData2016"
    for folder, stem in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        for kind in ("images", "annotations"):
            (root / kind / folder).mkdir(parents=True)
        Image.new("RGB", (18, 8)).save(root / "images" / folder / f"{stem}.jpg")
        Image.fromarray(VALUES).save(root / "annotations" / folder / f"{stem}.png")
    return tmp_path


@pytest.mark.parametrize("below", ["", "ADEChallengeData2016"])
@pytest.mark.parametrize(("split", "name"), [("train", "ADE_train_00000001"), ("val", "ADE_val_00000001")])
def test_zero_is_no_label_and_every_other_value_is_one_too_high(ade20k, below, split, name):
    dataset = open_dataset("ade20k", ade20k / below, split)

    labels = dataset.labels(0)

    assert [pair.name for pair in dataset.pairs] == [name]
    assert labels[0, 0] == 255
    assert np.array_equal(labels.ravel()[1:], VALUES.ravel()[1:] - 1)


@pytest.mark.parametrize("value", [151, 255])
def test_a_value_that_the_release_never_holds_is_refused(ade20k, value):
    file = ade20k / "ADEChallengeData2016/annotations/validation/ADE_val_00000001.png"
    Image.new("L", (18, 8), value).save(file)

    with pytest.raises(
        DatasetError, match=rf"{value} in 144 pixels; ade20k uses 1\.\.150 for its classes and 0 for unl"
    ):
        open_dataset("ade20k", ade20k, "val").labels(0)


def test_a_split_without_labels_names_those_with(ade20k):
    with pytest.raises(DatasetError, match="ade20k has no split 'test' with labels; it has train, val"):
        open_dataset("ade20k", ade20k, "test")


def test_another_folder_says_what_is_needed(tmp_path):
    with pytest.raises(DatasetError, match="images/training: no such folder; ADEChallengeData2016 holds images/ and"):
        open_dataset("ade20k", tmp_path, "train")


@pytest.mark.parametrize(("split", "folder", "count"), [("train", "training", 6), ("val", "validation", 25)])
def test_the_real_files_read_pixel_for_pixel(shared_data, split, folder, count):
    dataset = open_dataset("ade20k", shared_data, split)
    files = sorted(Path(shared_data / "ADEChallengeData2016/annotations" / folder).glob("*.png"))

    assert len(dataset) == len(files) == count
    for index, file in enumerate(files):
        raw = np.array(Image.open(file)).astype(int)
        assert np.array_equal(dataset.labels(index), np.where(raw == 0, 255, raw - 1))
        assert dataset.image(index).shape == (*raw.shape, 3)
