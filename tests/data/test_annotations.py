"""Label maps as shapes, runs and masks of annotation programs: reading them again gives the same pixels."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from cgrseg.classes import ClassTable, named
from cgrseg.data.annotations import (
    coco_annotations,
    coco_categories,
    cvat_labelmap,
    cvat_mask,
    cvat_table,
    labelme_shapes,
)
from cgrseg.data.datasets import open_dataset
from cgrseg.errors import CGRSegError

NAMES = ("sky", "road", "car", "tree")


def noise(rng):
    return rng.integers(0, 4, rng.integers(1, 20, 2), np.uint8)


def blocks(rng):
    return rng.integers(0, 4, (5, 6), np.uint8).repeat(3, axis=0).repeat(2, axis=1)


def rings(rng):
    """Discs and rings over each other: holes in holes, and regions that touch at corners."""
    labels = np.zeros((40, 50), np.uint8)
    for _ in range(9):
        middle, radius, value = rng.integers(0, 50, 2).tolist(), int(rng.integers(1, 20)), int(rng.integers(0, 4))
        cv2.circle(labels, middle, radius, value, int(rng.choice([-1, 1, 2])))
    return labels


def spirals(rng):
    labels = np.full((21, 21), rng.integers(0, 4), np.uint8)
    for index in range(0, 10, 2):
        labels[index : 21 - index, index : 21 - index] = (index // 2) % 4
        labels[index + 1 : 20 - index, index + 1 : 20 - index] = 3
    return np.where(rng.random(labels.shape) < 0.05, np.uint8(255), labels)


KINDS = (noise, blocks, rings, spirals)


def open_as(root, labels, file, tree, names=NAMES):
    """The label map that the reader makes of an annotation file."""
    (root / "images").mkdir(exist_ok=True)
    (root / "annotations").mkdir(exist_ok=True)
    Image.new("RGB", labels.shape[::-1]).save(root / "images/a.png")
    (root / file).write_text(json.dumps(tree))
    (root / "classes.txt").write_text("\n".join(names))
    return open_dataset("folder", root, "train").labels(0)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_of_labelme_give_the_same_pixels(tmp_path, kind):
    rng = np.random.default_rng(0)
    for _ in range(40):
        labels = kind(rng)
        tree = {"shapes": labelme_shapes(labels, named(NAMES))}

        assert np.array_equal(open_as(tmp_path, labels, "annotations/a.json", tree), labels)


def test_a_hole_is_kept_by_what_is_drawn_later_in_it():
    labels = np.zeros((7, 7), np.uint8)
    labels[1:6, 1:6], labels[2:5, 2:5] = 1, 2
    labels[3, 3] = 255

    shapes = labelme_shapes(labels, named(NAMES))

    assert [shape["label"] for shape in shapes] == ["sky", "road", "car", "__ignore__"]
    assert shapes[1]["points"] == [[1.5, 1.5], [1.5, 5.5], [5.5, 5.5], [5.5, 1.5]]
    assert [len(shape["points"]) for shape in shapes] == [4, 4, 4, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_runs_of_coco_give_the_same_pixels(tmp_path, kind):
    rng = np.random.default_rng(1)
    for _ in range(10):
        labels = kind(rng)
        image = {"id": 4, "file_name": "a.png", "height": labels.shape[0], "width": labels.shape[1]}
        annotations = [{**entry, "id": key, "image_id": 4} for key, entry in enumerate(coco_annotations(labels))]
        tree = {"images": [image], "categories": coco_categories(named(NAMES)), "annotations": annotations}

        assert np.array_equal(open_as(tmp_path, labels, "annotations/instances_default.json", tree), labels)


def test_areas_and_boxes_of_coco_are_those_of_the_masks():
    labels = np.zeros((5, 6), np.uint8)
    labels[1:3, 2:6] = 2
    labels[2, 2] = 0

    car = coco_annotations(labels)[1]

    assert (car["category_id"], car["area"], car["bbox"], car["iscrowd"]) == (3, 7, [2, 1, 4, 2], 0)


def test_masks_of_cvat_give_the_same_pixels(tmp_path):
    classes = ClassTable(("sky", "road", "car", "tree"), ((9, 9, 9), (0, 0, 0), (9, 9, 9), (1, 2, 3)))
    labels = rings(np.random.default_rng(2))
    table = cvat_table(classes)
    for folder in ("JPEGImages", "SegmentationClass"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", labels.shape[::-1]).save(tmp_path / "JPEGImages/a.jpg")
    Image.fromarray(cvat_mask(labels, classes, table)).save(tmp_path / "SegmentationClass/a.png")
    (tmp_path / "labelmap.txt").write_text(cvat_labelmap(table))

    dataset = open_dataset("folder", tmp_path, "train")

    assert dataset.classes.names == ("background", "sky", "road", "car", "tree")
    assert len(set(dataset.classes.colours)) == 5
    assert dataset.classes.colours[0] == (0, 0, 0)
    assert np.array_equal(dataset.labels(0), labels + 1)


def test_a_class_called_background_is_cvats():
    assert cvat_table(ClassTable(("road", "background"), ((1, 1, 1), (2, 2, 2)))).names == ("road", "background")


def test_what_a_labelmap_cannot_hold_is_told():
    with pytest.raises(CGRSegError, match="the class 'a:b' has no place in CVAT's labelmap"):
        cvat_table(named(("a:b",)))
