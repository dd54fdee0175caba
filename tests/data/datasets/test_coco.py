"""A folder whose labels are one JSON in COCO's format for each split."""

import json
import pickle
from pathlib import Path

import pytest
from PIL import Image

from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.coco import MaskReader, Region, decode_mask
from cgrseg.data.datasets.labelled import Pair
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


WHOLE = {"size": [3, 4], "counts": [0, 12]}


@pytest.mark.parametrize("crowd_first", [True, False])
def test_the_pixels_of_a_crowd_never_become_another_class(photos, crowd_first):
    (photos / "classes.txt").write_text("background\nsky\ngrass\n")
    masks = [annotation(7, WHOLE, iscrowd=1), annotation(3, [LEFT]), annotation(7, [TOP])]
    others = [annotation(7, [TOP], image=2)] * 2
    write(photos, [*(masks if crowd_first else masks[::-1]), *others])

    labels = open_dataset("folder", photos, "train").labels(0)

    assert labels[1:].tolist() == [[255] * 4] * 2
    assert labels[0, 2:].tolist() == [1, 1]


def test_a_category_of_which_most_masks_are_crowds_is_read_as_labels(photos):
    write(photos, [annotation(3, WHOLE), annotation(7, [LEFT], iscrowd=1), annotation(7, [TOP], iscrowd=1)])

    dataset = open_dataset("folder", photos, "train")

    assert dataset.labels(0).tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]


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
        (
            {"categories": [{"id": 3, "name": "grass"}]},
            "annotation 2 has category 7, which is not listed; the categories are 3 grass",
        ),
        ({"images": [{"id": 1, "file_name": "a.jpg"}]}, r"the image a\.jpg has no 'height'"),
        ({"images": None}, "not in COCO's format: it has no list 'images'"),
        (
            {"annotations": [annotation(3, [LEFT], image=5)]},
            "annotation 1 has image 5, which is not listed; 2 images are listed",
        ),
        (
            {"images": [{"id": id_, "file_name": f"{id_}/a.jpg", "height": 3, "width": 4} for id_ in (1, 2)]},
            r"lists two images, 1/a\.jpg and 2/a\.jpg, of one file .*images/train/a\.jpg",
        ),
    ],
)
def test_a_json_of_another_form_is_one_sentence(photos, changes, sentence):
    write(photos, **{"annotations": [annotation(3, [LEFT]), annotation(7, [TOP])]} | changes)

    with pytest.raises(DatasetError, match=sentence):
        open_dataset("folder", photos, "train")


def test_the_polygons_of_one_mask_join():
    two_squares = [[0, 0, 2, 0, 2, 2, 0, 2], [1, 1, 3, 1, 3, 3, 1, 3]]

    assert decode_mask(two_squares, (3, 3)).astype(int).tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]


def test_later_masks_cover_earlier_ones():
    reader = MaskReader(
        {"a": (1, 3)},
        {"a": [Region(7, {"size": [1, 3], "counts": [0, 2, 1]}, ""), Region(8, [[1, 0, 3, 0, 3, 1, 1, 1]], "")]},
        9,
    )
    pair = Pair("a", Path("a.jpg"), Path("all.json"))

    assert reader(pair).tolist() == [[7, 8, 8]]
    assert pickle.loads(pickle.dumps(reader))(pair).tolist() == [[7, 8, 8]]
    assert MaskReader({"a": (1, 3)}, {}, 9)(pair).tolist() == [[9, 9, 9]]


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        ([], "it has no outline, and boxes are not labels"),
        ({"size": [3, 1], "counts": [3]}, r"its size is \[3, 1\], but the size of the image is \[1, 3\]"),
        ({"size": [1, 3], "counts": [1, 1]}, "its runs are 2 pixels long, but the image has 3"),
        ({"size": [1, 3], "counts": [4, -1]}, "its runs are 3 pixels long, but the image has 3"),
        ({"size": [1, 3], "counts": ""}, "0 pixels long"),
        ({"size": [1, 3]}, "its runs need the keys 'size' and 'counts'"),
        ({"size": [1, 3], "counts": None}, "its runs need the keys 'size' and 'counts'"),
        (None, "it has no outline, and boxes are not labels"),
        ("3", "its segmentation is '3', where polygons or runs are needed"),
        ([[0, 0, 1]], "a polygon of it has 3 numbers, where pairs x, y"),
        ([[0, 0, 1, 1]], "its outline has 2 points, and so no area"),
        ([0, 0], "its outline has 1 points, and so no area"),
        ([[]], "its outline has 0 points"),
        ([["x", "y"]], "could not convert"),
        ([[0, 0, float("inf"), 0, 1, float("inf")]], "pairs x, y of finite ones are needed"),
    ],
)
def test_a_malformed_mask_is_named_by_image_and_annotation(mask, reason):
    whole = Region(1, {"size": [1, 3], "counts": [3]}, "annotation 1")
    reader = MaskReader({"a": (1, 3)}, {"a": [whole, Region(2, mask, "annotation 7")]}, 0)

    with pytest.raises(DatasetError, match=rf"all\.json: annotation 7 of a\.jpg cannot be read: .*{reason}"):
        reader(Pair("a", Path("a.jpg"), Path("all.json")))


@pytest.mark.parametrize(
    "mask",
    [
        [1, 0, 3, 0, 3, 2, 1, 2],
        [[1, 0, 3, 0, 3, 2, 1, 2]],
        [[[1, 0], [3, 0], [3, 2], [1, 2]]],
        [[1, 0, 3, 0, 3, 2, 1, 2], [0, 0, 1, 1]],
        {"size": [2, 3], "counts": [2, 4]},
        {"size": [2, 3], "counts": "24"},
        [{"size": [2, 3], "counts": [2, 2, 2]}, [2, 0, 3, 0, 3, 2, 2, 2]],
    ],
)
def test_each_way_to_write_a_mask_gives_the_same_pixels(mask):
    assert decode_mask(mask, (2, 3)).astype(int).tolist() == [[0, 1, 1]] * 2


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["images\\day\\a.jpg", "images\\b.png"], ["a.jpg", "b.png"]),
        (["..\\..\\upload\\4\\a.jpg", "C:\\photos\\b.png"], ["a.jpg", "b.png"]),
        (["/data/local/day/a.jpg", "day/b.png"], ["day/a.jpg", "day/b.png"]),
        (["a.jpg", "b.png"], ["day/a.jpg", "night/b.png"]),
    ],
)
def test_names_may_have_folders_of_any_system(photos, names, files):
    for old, new in zip(("a.jpg", "b.png"), files, strict=True):
        (photos / "images/train" / new).parent.mkdir(exist_ok=True)
        (photos / "images/train" / old).rename(photos / "images/train" / new)
    images = [{"id": key, "file_name": name, "height": 3, "width": 4} for key, name in zip((1, 2), names, strict=True)]
    write(photos, [annotation(3, [LEFT])], images=images)

    dataset = open_dataset("folder", photos, "train")

    assert [(pair.name, pair.image.relative_to(photos / "images/train").as_posix()) for pair in dataset.pairs] == [
        ("a", files[0]),
        ("b", files[1]),
    ]
    assert dataset.labels(0)[0].tolist() == [0, 0, 255, 255]


def test_images_of_one_name_in_two_folders_are_two_images(photos):
    for folder in ("1", "2"):
        (photos / "images/train" / folder).mkdir()
        Image.new("RGB", (4, 3)).save(photos / "images/train" / folder / "a.jpg")
    for name in ("a.jpg", "b.png"):
        (photos / "images/train" / name).unlink()
    images = [{"id": key, "file_name": f"{key}/a.jpg", "height": 3, "width": 4} for key in (1, 2)]
    write(photos, [annotation(3, [LEFT], image=2)], images=images)

    dataset = open_dataset("folder", photos, "train")

    assert [pair.name for pair in dataset.pairs] == ["1/a", "2/a"]
    assert [int(dataset.labels(index)[0, 0]) for index in (0, 1)] == [255, 0]


ROOT = [
    {"id": 0, "name": "plants", "supercategory": "none"},
    {"id": 1, "name": "grass", "supercategory": "plants"},
    {"id": 2, "name": "tree", "supercategory": "plants"},
]


def test_a_category_that_only_groups_the_others_is_no_class(photos, caplog):
    write(photos, [annotation(1, [LEFT]), annotation(2, [TOP])], categories=ROOT)

    dataset = open_dataset("folder", photos, "train")

    assert dataset.classes.names == ("grass", "tree")
    assert dataset.labels(0)[:2].tolist() == [[1, 1, 1, 1], [0, 0, 255, 255]]
    assert "the category 'plants' only groups the others and has no annotation, so it is no class" in caplog.text
    assert [note.code for note in dataset.notes] == ["root-category"]


@pytest.mark.parametrize("where", ["train", "val"])
def test_a_group_that_is_drawn_in_any_split_stays_a_class(photos, where):
    write(photos, [annotation(0 if where == "train" else 1, [LEFT])], categories=ROOT)
    tree = json.loads((photos / "annotations/train.json").read_text())
    (photos / "annotations/val.json").write_text(json.dumps(tree | {"annotations": [annotation(0, [LEFT])]}))

    assert open_dataset("folder", photos, "train").classes.names == ("plants", "grass", "tree")


def test_the_root_may_have_the_name_of_a_class(photos):
    categories = [
        {"id": 0, "name": "grass", "supercategory": "none"},
        {"id": 1, "name": "grass", "supercategory": "grass"},
        {"id": 2, "name": "sky", "supercategory": "grass"},
    ]
    write(photos, [annotation(1, [LEFT])], categories=categories)

    assert open_dataset("folder", photos, "train").classes.names == ("grass", "sky")
