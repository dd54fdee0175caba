"""Pascal Context: its three sources of labels and two protocols, drawn in the layouts of the releases."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.pascalcontext import IDS
from cgrseg.errors import DatasetError

KINDS = ("pascalcontext59", "pascalcontext60")
AEROPLANE, BAG, WOOD = 2, 9, 458
"""Places in the full list of the classes 1, 2 and 59."""


@pytest.fixture
def devkit(tmp_path):
    """Images for train and val, and one in no list; labels are up to the test."""
    root = tmp_path / "VOCdevkit/VOC2010"
    for folder in ("JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for stem in ("2008_000002", "2008_000003", "2010_000001"):
        Image.new("RGB", (4, 2)).save(root / "JPEGImages" / f"{stem}.jpg")
    for split, stem in (("train", "2008_000002"), ("val", "2008_000003")):
        (root / "ImageSets/Main" / f"{split}.txt").write_text(f"{stem}\n")
    return root


def add_maps(root, values):
    (root / "SegmentationClassContext").mkdir()
    for stem in ("2008_000002", "2008_000003"):
        Image.fromarray(np.array(values, np.uint8)).save(root / "SegmentationClassContext" / f"{stem}.png")


def add_mats(root, values):
    (root / "trainval").mkdir()
    for stem in ("2008_000002", "2008_000003"):
        savemat(root / "trainval" / f"{stem}.mat", {"LabelMap": np.array(values, np.uint16)})


def add_json(root, masks):
    """Masks (id, counts) of the val image; the train image has none."""
    images = [
        {"image_id": 8, "phase": "train", "file_name": "2008_000002.jpg", "height": 2, "width": 4},
        {"image_id": 9, "phase": "val", "file_name": "2008_000003.jpg", "height": 2, "width": 4},
    ]
    masks = [
        {"image_id": 9, "category_id": value, "segmentation": {"size": [2, 4], "counts": counts}}
        for value, counts in masks
    ]
    (root / "trainval_merged.json").write_text(json.dumps({"images": images, "annos_segmentation": masks}))


def labels_of(root, kind):
    return open_dataset(kind, root, "val").labels(0).tolist()


def test_ready_maps_are_read_by_either_protocol(devkit):
    add_maps(devkit, [[0, 1, 2, 3], [58, 59, 0, 0]])

    assert labels_of(devkit, "pascalcontext60") == [[0, 1, 2, 3], [58, 59, 0, 0]]
    assert labels_of(devkit, "pascalcontext59") == [[255, 0, 1, 2], [57, 58, 255, 255]]


@pytest.mark.parametrize("kind", KINDS)
def test_maps_that_were_shifted_already_are_refused(devkit, kind):
    add_maps(devkit, [[0, 1, 2, 3], [58, 57, 255, 255]])

    with pytest.raises(DatasetError, match=f"255 in 2 pixels; {kind} uses"):
        labels_of(devkit, kind)


def test_every_class_of_the_full_list_that_is_none_of_the_59_is_background(devkit):
    add_mats(devkit, [[1, AEROPLANE, 3, BAG], [WOOD, 459, 457, AEROPLANE]])

    assert labels_of(devkit, "pascalcontext60") == [[0, 1, 0, 2], [59, 0, 0, 1]]
    assert labels_of(devkit, "pascalcontext59") == [[255, 0, 255, 1], [58, 255, 255, 0]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_beyond_the_full_list_is_refused(devkit, kind):
    add_mats(devkit, np.full((2, 4), 460))

    with pytest.raises(DatasetError, match="460 in 8 pixels"):
        labels_of(devkit, kind)


def test_masks_are_run_lengths_by_column_and_later_ones_cover_earlier_ones(devkit):
    add_json(devkit, [(AEROPLANE, [1, 5, 2]), (WOOD, [4, 1, 3])])

    assert labels_of(devkit, "pascalcontext60") == [[0, 1, 59, 0], [1, 1, 1, 0]]
    assert labels_of(devkit, "pascalcontext59") == [[255, 0, 58, 255], [0, 0, 0, 255]]


def test_an_image_without_masks_is_all_background(devkit):
    add_json(devkit, [(AEROPLANE, [8])])

    dataset = open_dataset("pascalcontext60", devkit, "train")

    assert [pair.name for pair in dataset.pairs] == ["2008_000002"]
    assert dataset.labels(0).tolist() == [[0] * 4] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_a_class_that_is_none_of_the_59_are_refused(devkit, kind):
    add_json(devkit, [(3, [0, 8])])

    with pytest.raises(DatasetError, match="holds the value 3 in 8 pixels"):
        labels_of(devkit, kind)


def test_masks_of_another_size_than_the_image_name_the_image(devkit):
    add_json(devkit, [(AEROPLANE, [1, 5])])

    with pytest.raises(DatasetError, match=r"mask 1 of 2008_000003.jpg cannot be read: .* 6 pixels long, but .* 8"):
        labels_of(devkit, "pascalcontext60")


def test_the_three_sources_agree(devkit):
    values = np.array([[0, 1, 59, 0], [1, 1, 1, 0]])
    add_json(devkit, [(AEROPLANE, [1, 5, 2]), (WOOD, [4, 1, 3])])
    from_json = labels_of(devkit, "pascalcontext59")
    add_mats(devkit, np.array([1, *IDS])[values])
    from_mats = labels_of(devkit, "pascalcontext59")
    add_maps(devkit, values)

    assert from_json == from_mats == labels_of(devkit, "pascalcontext59")


def test_a_list_of_its_own_wins_over_that_of_voc(devkit):
    add_maps(devkit, [[0] * 4] * 2)
    (devkit / "ImageSets/SegmentationContext").mkdir()
    (devkit / "ImageSets/SegmentationContext/val.txt").write_text("2008_000002\n")

    assert [pair.name for pair in open_dataset("pascalcontext60", devkit, "val").pairs] == ["2008_000002"]


@pytest.mark.parametrize("content", ["{", "[]", '{"images": [{}], "annos_segmentation": []}'])
def test_another_json_is_one_sentence(devkit, content):
    (devkit / "trainval_merged.json").write_text(content)

    with pytest.raises(DatasetError, match=r"is not the trainval_merged\.json of Pascal in Detail"):
        labels_of(devkit, "pascalcontext60")


def test_images_without_labels_say_where_labels_may_be(devkit):
    with pytest.raises(DatasetError, match=r"VOC2010 holds no labels; VOC2010 holds JPEGImages/ and Segmentation"):
        labels_of(devkit, "pascalcontext60")


def test_the_59_places_in_the_full_list_are_the_published_ones(shared_data):
    mapping = json.loads((shared_data / "pascal_context_mapping.json").read_text())

    assert [0, *IDS] == sorted(mapping["id459"]) == mapping["id459"]
