"""The door to all data sets: what they have in common, whatever the kind."""

import json
import logging
import os
import pickle
import sys
from typing import get_args

import numpy as np
import pytest
from support.tiny import RECIPE, draw_images

from cgrseg import load
from cgrseg.config import Kind
from cgrseg.data.datasets import READERS, open_dataset
from cgrseg.data.doctor import check_dataset
from cgrseg.errors import DatasetError, RecipeError
from cgrseg.training import train

SAMPLES = {
    "camvid": "CamVid_official_sample",
    "ade20k": "ADEChallengeData2016",
    "cocostuff10k": "coco_stuff10k_emulated",
    "cocostuff164k": "coco_stuff164k",
    "folder": "camvid",
}


def test_each_kind_has_a_reader():
    assert [*READERS, "folder"] == list(get_args(Kind))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_an_empty_folder_is_one_sentence_whatever_the_kind(tmp_path, kind):
    with pytest.raises(DatasetError, match="no such"):
        open_dataset(kind, tmp_path, "train")


@pytest.mark.parametrize("kind", SAMPLES)
def test_worker_processes_get_a_copy_that_reads_the_same(shared_data, kind):
    dataset = open_dataset(kind, shared_data / SAMPLES[kind], "val")

    copy = pickle.loads(pickle.dumps(dataset))

    assert np.array_equal(copy.labels(0), dataset.labels(0))
    assert copy.pairs == dataset.pairs


def test_a_part_of_a_release_is_usable_and_worth_a_word(shared_data, caplog):
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset("ade20k", shared_data, "train")

    assert caplog.messages == ["ade20k train holds 6 images where the official release has 20,210; is it complete?"]
    assert (len(dataset), dataset.expected) == (6, 20_210)


def test_the_word_comes_once_for_a_run_that_holds_images_out(shared_data, caplog):
    opened = [
        open_dataset("camvid", shared_data / "CamVid_official_sample", split, "0001TP")
        for split in ("train", "holdout")
    ]

    assert caplog.messages == ["camvid train holds 8 images where the official release has 367; is it complete?"]
    assert [dataset.expected for dataset in opened] == [None, None]


def test_a_folder_may_hold_any_number(shared_data, caplog):
    dataset = open_dataset("folder", shared_data / "camvid", "val")

    assert not caplog.messages
    assert dataset.expected is None


def test_classes_merge_by_a_file_or_by_a_mapping(shared_data, tmp_path):
    merge = {
        "sky": ("sky",),
        "rest": ("building", "pole", "tree", "signsymbol", "fence"),
        "ground": ("road", "pavement"),
    }
    merge |= {"ignore": ("car", "pedestrian", "bicyclist")}
    file = tmp_path / "merge.yaml"
    file.write_text("".join(f"{name}: [{', '.join(old)}]\n" for name, old in merge.items()))
    root = shared_data / "CamVid_official_sample"
    old = open_dataset("camvid", root, "val").labels(0)

    by_file, by_mapping = (open_dataset("camvid", root, "val", merge=given) for given in (file, merge))

    assert by_file.classes == by_mapping.classes
    assert by_file.classes.names == ("sky", "rest", "ground")
    expected = np.array([0, 1, 1, 2, 2, 1, 1, 1, 255, 255, 255, *[255] * 245])[old]
    assert np.array_equal(by_file.labels(0), expected)
    assert np.array_equal(by_mapping.labels(0), expected)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "merge.yaml: no such file of classes to merge"),
        ("{", "merge.yaml: not a YAML file"),
        ("[a, b]", r"merge.yaml: \['a', 'b'\] is not a mapping"),
        ("road: car", "merge.yaml: road: 'car' is not a list"),
    ],
)
def test_a_file_that_is_no_merge_is_one_sentence(tmp_path, content, sentence):
    if content:
        (tmp_path / "merge.yaml").write_text(content)

    with pytest.raises(RecipeError, match=sentence):
        open_dataset("camvid", tmp_path, "val", merge=tmp_path / "merge.yaml")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_every_text_of_a_folder_may_be_in_utf_16_or_begin_with_a_mark(tmp_path, encoding):
    folder = draw_images(tmp_path / "photos")
    shapes = {"imageHeight": 48, "imageWidth": 64, "shapes": []}
    (folder / "classes.txt").unlink()
    (folder / "meta.json").write_bytes(json.dumps({"classes": ["dark", "bright"]}).encode(encoding))
    (folder / "annotations/train/0.png").unlink()
    (folder / "annotations/train/0.json").write_bytes(json.dumps(shapes).encode(encoding))

    dataset = open_dataset("folder", folder, "train")

    assert dataset.classes.names == ("dark", "bright")
    assert (dataset.labels(0) == 255).all()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no such names")
def test_names_that_are_no_utf_8_pair_and_are_learnt_scored_and_segmented(tmp_path):
    folder = draw_images(tmp_path / "photos")
    for file in sorted(folder.glob("*/*/*.png")):
        file.rename(os.fsdecode(os.fsencode(file.parent) + b"/caf\xe9" + os.fsencode(file.name)))

    best = train(RECIPE, folder, tmp_path / "run")
    (result, _) = load(best, engine="torch").stream(folder / "images" / "val")
    result.save(tmp_path / "out")

    assert check_dataset("folder", folder).count("error") == 0
    assert result.name == "café0"
    assert json.loads((tmp_path / "out" / "café0.json").read_text(encoding="utf-8"))["name"] == "café0"
