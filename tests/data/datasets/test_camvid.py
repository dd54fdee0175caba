"""CamVid in its official layout, made small or taken from the official sample."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError

STEMS = ("0001TP_1", "0006R0_f1", "0006R0_f2", "0016E5_1")


@pytest.fixture
def camvid(tmp_path):
    """Four training pairs whose labels hold every value; the list names a folder of another machine."""
    root = tmp_path / "CamVid"
    for folder in ("train", "trainannot"):
        (root / folder).mkdir(parents=True)
    for stem in STEMS:
        Image.new("RGB", (4, 3)).save(root / "train" / f"{stem}.png")
        Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(root / "trainannot" / f"{stem}.png")
    lines = [f"/SegNet/CamVid/train/{stem}.png /SegNet/CamVid/trainannot/{stem}.png" for stem in STEMS]
    (root / "train.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("below", ["", "CamVid"])
def test_the_folder_and_its_parent_both_open(camvid, below):
    dataset = open_dataset("camvid", camvid / below, "train")

    assert [pair.name for pair in dataset.pairs] == list(STEMS)
    assert dataset.labels(0).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 255]]
    assert dataset.classes.names[10] == "bicyclist"


def test_a_held_out_sequence_leaves_train_and_makes_a_split_of_its_own(camvid):
    train, holdout = (open_dataset("camvid", camvid, split, "0006R0") for split in ("train", "holdout"))

    assert [pair.name for pair in train.pairs] == ["0001TP_1", "0016E5_1"]
    assert [pair.name for pair in holdout.pairs] == ["0006R0_f1", "0006R0_f2"]
    assert (train.split, holdout.split) == ("train", "holdout")


@pytest.mark.parametrize(
    ("split", "hold_out", "sentence"),
    [
        ("train", "0007", "no name in train begins with '0007'; the first is 0001TP_1"),
        ("holdout", "0007", "no name in train begins with '0007'"),
        ("train", "00", "every name in train begins with '00'"),
        ("holdout", "00", "every name in train begins with '00'"),
        ("holdout", "", "needs data.hold_out"),
    ],
)
def test_holding_out_nothing_or_everything_is_an_error(camvid, split, hold_out, sentence):
    with pytest.raises(DatasetError, match=sentence):
        open_dataset("camvid", camvid, split, hold_out)


def test_a_missing_split_says_what_the_folder_should_hold(camvid):
    with pytest.raises(DatasetError, match=r"val\.txt: no such list; CamVid holds train\.txt, train/ and trainannot/"):
        open_dataset("camvid", camvid, "val")


@pytest.mark.parametrize(("folder", "what"), [("train", "image"), ("trainannot", "label file")])
def test_missing_files_are_counted_and_the_first_are_named(camvid, folder, what):
    for stem in STEMS[1:3]:
        (camvid / "CamVid" / folder / f"{stem}.png").unlink()

    with pytest.raises(DatasetError, match=rf"train\.txt: 2 of 4 have no {what}: 0006R0_f1, 0006R0_f2$"):
        open_dataset("camvid", camvid, "train")


def test_a_missing_data_set_names_the_option(tmp_path):
    with pytest.raises(
        DatasetError, match="nowhere: no such folder; give the folder that holds the data set"
    ) as raised:
        open_dataset("camvid", Path(tmp_path / "nowhere"), "train")

    assert raised.value.setting == "data"


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_official_sample_reads(shared_data, split):
    dataset = open_dataset("camvid", shared_data / "CamVid_official_sample", split)

    labels = [dataset.labels(index) for index in range(len(dataset))]

    assert len(dataset) == {"train": 8, "val": 4}[split]
    assert {dataset.image(index).shape for index in range(len(dataset))} == {(360, 480, 3)}
    assert set(np.unique(labels)) <= {*range(11), 255}
    assert dataset.class_shares()[3] > 0.2  # road
