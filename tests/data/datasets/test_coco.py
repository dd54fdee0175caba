"""A folder whose labels are one JSON in COCO's format for each split."""

import json

import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError

LEFT, TOP = [0, 0, 2, 0, 2, 3, 0, 3], [0, 0, 4, 0, 4, 1, 0, 1]
"""Polygons of the left half and of the top row of an image of 4 x 3."""


def annotation(category, mask, image=1, **more):
    return {"image_id": image, "category_id": category, "segmentation": mask, **more}


def write(root, annotations, **changes):
    tree = {
        "images": [
            {"id": 1, "file_name": "some/folder/a.jpg", "height": 3, "width": 4},
            {"id": 2, "file_name": "b.png", "height": 3, "width": 4},
        ],
        "categories": [{"id": 7, "name": "sky"}, {"id": 3, "name": "grass"}],
        "annotations": annotations,
    }
    (root / "annotations/train.json").write_text(json.dumps(tree | changes))


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "annotations").mkdir()
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (4, 3)).save(tmp_path / "images/train" / name)
    write(tmp_path, [annotation(3, [LEFT]), annotation(7, [TOP])])
    return tmp_path


def test_categories_are_the_classes_in_order_of_their_ids(photos):
    dataset = open_dataset("folder", photos, "train")

    assert dataset.classes.names == ("grass", "sky")
    assert [(pair.name, pair.image.name) for pair in dataset.pairs] == [("a", "a.jpg"), ("b", "b.png")]


def test_later_shapes_cover_earlier_ones_and_the_rest_has_no_label(photos):
    dataset = open_dataset("folder", photos, "train")

    assert dataset.labels(0).tolist() == [[1, 1, 1, 1], [0, 0, 255, 255], [0, 0, 255, 255]]
    assert dataset.labels(1).tolist() == [[255] * 4] * 3


def test_classes_of_the_folder_decide_names_order_and_background(photos):
    (photos / "classes.txt").write_text("background\nsky\ngrass\n")

    dataset = open_dataset("folder", photos, "train")

    assert dataset.classes.names == ("background", "sky", "grass")
    assert dataset.labels(0).tolist() == [[1, 1, 1, 1], [2, 2, 0, 0], [2, 2, 0, 0]]


def test_a_crowd_has_no_label_where_nothing_else_is(photos):
    (photos / "classes.txt").write_text("background\nsky\ngrass\n")
    write(photos, [annotation(3, [LEFT]), annotation(7, {"size": [3, 4], "counts": [0, 12]}, iscrowd=1)])

    assert open_dataset("folder", photos, "train").labels(0).tolist() == [[2, 2, 255, 255]] * 3


@pytest.mark.parametrize("counts", [[3, 6, 3], "363"])
def test_runs_are_read_as_numbers_and_as_text(photos, counts):
    write(photos, [annotation(3, {"size": [3, 4], "counts": counts})])

    assert open_dataset("folder", photos, "train").labels(0).tolist() == [[255, 0, 0, 255]] * 3


def test_a_category_that_is_no_class_names_the_nearest(photos):
    (photos / "classes.txt").write_text("gras\nsky\n")

    with pytest.raises(DatasetError, match=r"train\.json: categories: 'grass' is not a class; did you mean 'gras'\?"):
        open_dataset("folder", photos, "train")


def test_an_image_that_the_json_leaves_out_is_named(photos):
    Image.new("RGB", (4, 3)).save(photos / "images/train/c.png")

    with pytest.raises(DatasetError, match=r"1 of 3 have no label file: c"):
        open_dataset("folder", photos, "train")


def test_a_size_that_is_not_the_images_is_refused(photos):
    Image.new("RGB", (5, 3)).save(photos / "images/train/a.jpg")

    with pytest.raises(DatasetError, match=r"train\.json is 4 x 3 pixels but its image .*a\.jpg is 5 x 3"):
        open_dataset("folder", photos, "train").labels(0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"categories": []}, "categories names 0 classes"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "the class 'a' is listed twice"),
        ({"categories": [{"id": 3, "name": "grass"}]}, "not in COCO's format: 7 is missing"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}]}, "'height' is missing"),
        ({"images": None}, "not in COCO's format: 'NoneType'"),
        ({"annotations": [annotation(3, [LEFT], image=5)]}, "5 is missing"),
        (
            {"images": [{"id": id_, "file_name": f"{id_}/a.jpg", "height": 3, "width": 4} for id_ in (1, 2)]},
            "lists 2 images by only 1 names",
        ),
    ],
)
def test_a_json_of_another_form_is_one_sentence(photos, changes, sentence):
    write(photos, **{"annotations": [annotation(3, [LEFT]), annotation(7, [TOP])]} | changes)

    with pytest.raises(DatasetError, match=sentence):
        open_dataset("folder", photos, "train")
