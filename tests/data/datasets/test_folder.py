"""A folder of anyone's own images."""

import json

import numpy as np
import pytest
from PIL import Image

from cgrseg.classes import named
from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError


@pytest.fixture
def photos(tmp_path):
    for place, name in enumerate(("b.jpg", "a.png")):
        image, labels = tmp_path / "images" / "train" / name, tmp_path / "annotations" / "train" / f"{name[0]}.png"
        for file in (image, labels):
            file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(image)
        Image.fromarray(np.full((3, 4), (1, 255)[place], np.uint8)).save(labels)
    (tmp_path / "classes.txt").write_text("grass\nsky\n")
    return tmp_path


def test_images_and_labels_pair_by_name_whatever_the_suffix(photos):
    dataset = open_dataset("folder", photos, "train")

    assert [(pair.name, pair.image.name, pair.labels.name) for pair in dataset.pairs] == [
        ("a", "a.png", "a.png"),
        ("b", "b.jpg", "b.png"),
    ]
    assert dataset.classes.names == ("grass", "sky")
    assert [int(dataset.labels(index)[0, 0]) for index in (0, 1)] == [255, 1]


def test_a_label_beyond_the_classes_is_refused(photos):
    Image.fromarray(np.full((3, 4), 2, np.uint8)).save(photos / "annotations/train/a.png")

    with pytest.raises(
        DatasetError, match=r"holds the value 2 in 12 pixels; folder uses 0\.\.1 for its classes and 255 for unlabelled"
    ):
        open_dataset("folder", photos, "train").labels(0)


def test_classes_and_colours_may_come_from_json(photos):
    (photos / "classes.txt").unlink()
    (photos / "meta.json").write_text(json.dumps({"classes": ["x", "y"], "palette": [[1, 2, 3], [4, 5, 6]]}))

    table = open_dataset("folder", photos, "train").classes

    assert table.names == ("x", "y")
    assert table.colours == ((1, 2, 3), (4, 5, 6))


def test_values_and_what_to_ignore_may_come_from_json(photos):
    (photos / "classes.txt").unlink()
    (photos / "meta.json").write_text(json.dumps({"classes": ["road", "rest"], "values": [255, 1], "ignore": [0]}))
    Image.fromarray(np.array([[0, 1, 255]] * 3, np.uint8)).save(photos / "annotations/train/a.png")
    Image.new("RGB", (3, 3)).save(photos / "images/train/a.png")

    assert open_dataset("folder", photos, "train").labels(0).tolist() == [[255, 1, 0]] * 3


def test_classes_named_in_two_places_are_refused(photos):
    (photos / "meta.json").write_text('{"classes": ["sky", "grass"]}')

    with pytest.raises(DatasetError, match=r"names its classes twice, in classes\.txt and in meta\.json; keep one"):
        open_dataset("folder", photos, "train")


def test_16_bit_maps_may_mark_no_label_by_their_largest_value(photos):
    Image.fromarray(np.array([[0, 1, 255, 65535]] * 3, np.uint16)).save(photos / "annotations/train/a.png")

    assert open_dataset("folder", photos, "train").labels(0).tolist() == [[0, 1, 255, 255]] * 3


def test_the_sample_reads_pixel_for_pixel(shared_data):
    dataset = open_dataset("folder", shared_data / "camvid", "val")

    assert len(dataset) == 101
    for index in range(0, 101, 10):
        raw = np.array(Image.open(shared_data / "camvid/annotations/val" / f"{dataset.pairs[index].name}.png"))
        assert np.array_equal(dataset.labels(index), raw)


def test_classes_given_serve_a_folder_that_names_none(photos):
    given = named(("one", "two", "three"))
    own = open_dataset("folder", photos, "train", classes=given).classes
    (photos / "classes.txt").unlink()

    taken = open_dataset("folder", photos, "train", classes=given).classes

    assert own.names == ("grass", "sky")
    assert taken == given


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("classes.txt", "a\n\nb\n", r"classes\.txt: line 2 is empty"),
        ("classes.txt", "a\nb\na\n", "the class 'a' is listed twice, as labels 0 and 2"),
        ("classes.txt", "\n".join(map(str, range(255))), "names 255 classes; 1 to 254 are possible"),
        ("classes.txt", "", "names 0 classes"),
        ("meta.json", "{", r"meta\.json is not JSON"),
        ("meta.json", "[]", r"names no classes; write classes\.txt"),
        ("meta.json", '{"classes": ["a"], "palette": []}', r"palette: 1 colours \[red"),
        ("meta.json", '{"classes": ["a"], "palette": [[1, 2]]}', r"palette: 1 colours \[red"),
        ("meta.json", '{"classes": 3}', "classes: a list of names"),
        ("meta.json", '{"classes": ["a"], "palette": [[1, 2, 256]]}', r"palette: 1 colours \[red"),
        ("meta.json", '{"classes": ["a", "b"], "values": [1]}', "values: 2 different whole numbers"),
        ("meta.json", '{"classes": ["a", "b"], "values": [1, 1]}', "values: 2 different whole numbers"),
        ("meta.json", '{"classes": ["a", "b"], "values": [1, true]}', "values: 2 different whole numbers"),
        ("meta.json", '{"classes": ["a", "b"], "values": {}}', "values: 2 different whole numbers"),
        ("meta.json", '{"classes": ["a"], "ignore": 0}', "ignore: a list of values or colours"),
        ("meta.json", '{"classes": ["a"], "ignore": ["b"]}', "ignore: a list of values or colours"),
        ("meta.json", '{"classes": ["a"], "ignore": [255, 0]}', "ignore: 0 is the value of the class 'a'"),
        ("classes.txt", "a\n__ignore__\n", "'__ignore__' is not a class; leave it out"),
    ],
)
def test_a_slip_in_the_class_names_is_one_sentence(photos, file, text, sentence):
    (photos / "classes.txt").unlink()
    (photos / file).write_text(text)

    with pytest.raises(DatasetError, match=sentence):
        open_dataset("folder", photos, "train")


def test_a_missing_split_names_the_ones_there_are(photos):
    with pytest.raises(
        DatasetError, match=r"images/val: no such folder; .*images/<split>/.* the splits of .* are train"
    ):
        open_dataset("folder", photos, "val")


def test_an_image_without_labels_is_named(photos):
    Image.new("RGB", (4, 3)).save(photos / "images/train/c.png")

    with pytest.raises(DatasetError, match=r"split 'train' of .*: 1 of 3 have no label file: c"):
        open_dataset("folder", photos, "train")


def test_two_images_of_one_name_are_refused(photos):
    Image.new("RGB", (4, 3)).save(photos / "images/train/b.png")

    with pytest.raises(DatasetError, match=r"holds both b\.jpg and b\.png; keep one"):
        open_dataset("folder", photos, "train")


def test_an_empty_split_is_named(photos):
    for file in photos.glob("*/train/*"):
        file.unlink()

    with pytest.raises(DatasetError, match=r"split 'train' of .* holds no images"):
        open_dataset("folder", photos, "train")


@pytest.fixture
def flat(tmp_path):
    """Images and labels without folders for splits."""
    for part, suffix in (("images", "jpg"), ("annotations", "png")):
        (tmp_path / part).mkdir()
        for name in "ab":
            Image.new("RGB" if suffix == "jpg" else "L", (4, 3)).save(tmp_path / part / f"{name}.{suffix}")
    (tmp_path / "images/unlabelled").mkdir()
    (tmp_path / "classes.txt").write_text("grass\nsky\n")
    return tmp_path


def test_images_without_splits_are_all_of_train(flat):
    dataset = open_dataset("folder", flat, "train")

    assert [pair.name for pair in dataset.pairs] == ["a", "b"]


def test_a_folder_without_splits_has_no_other(flat):
    with pytest.raises(DatasetError, match=r"has no splits: all its images are train"):
        open_dataset("folder", flat, "val")


def test_images_without_labels_are_no_split(photos):
    (photos / "images/unlabelled").mkdir()

    with pytest.raises(DatasetError, match=r"the splits of .* are train$"):
        open_dataset("folder", photos, "val")


def test_names_are_held_out_exactly(flat):
    held, learnt = (open_dataset("folder", flat, split, ("b",)) for split in ("holdout", "train"))

    assert [pair.name for pair in held.pairs] == ["b"]
    assert [pair.name for pair in learnt.pairs] == ["a"]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(("b", "c"), "1 of its 2 names are not in train: c"), (("a", "b"), "names all 2 images of train")],
)
def test_names_that_cannot_be_held_out_are_told(flat, names, sentence):
    with pytest.raises(DatasetError, match=sentence):
        open_dataset("folder", flat, "holdout", names)
