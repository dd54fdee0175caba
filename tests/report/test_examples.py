import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image
from support.reported import content_of

from cgrseg.report.examples import LONG_PX, choose_images, examine, pack, show_maps, shown_size


def unpacked(packed: str, height: int, width: int) -> np.ndarray:
    """What the page makes of a packed map."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8).reshape(height, width)
    return np.cumsum(steps, axis=1, dtype=np.uint8)


def test_the_worst_and_the_best_are_chosen_and_none_twice():
    few = choose_images([0.5, float("nan"), 0.1, 0.9])
    many = choose_images([index / 20 for index in range(20)])

    assert few == [("worst", 2), ("worst", 0), ("best", 3)]
    assert many == [("worst", index) for index in range(6)] + [("best", index) for index in range(19, 13, -1)]
    assert choose_images([float("nan")]) == []


def test_a_packed_map_arrives_as_it_was():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (7, 5), np.uint8)

    assert np.array_equal(unpacked(pack(values), 7, 5), values)


@pytest.mark.parametrize(("size", "shown"), [((48, 64), (48, 64)), ((1280, 720), (640, 360)), ((3, 9000), (1, 640))])
def test_the_longer_side_is_bounded(size, shown):
    assert shown_size(size) == shown


def test_what_is_shown_of_a_large_image_is_small():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (1500, 2000, 3), np.uint8)
    truth = rng.integers(0, 150, (15, 20), np.uint8).repeat(100, axis=0).repeat(100, axis=1)
    truth[:100] = 255
    confidence = np.linspace(0, 1, truth.size, dtype=np.float32).reshape(truth.shape)

    shown = show_maps(image, truth, truth, confidence)

    height, width = shown["height"], shown["width"]
    photo = Image.open(io.BytesIO(base64.b64decode(shown["image"].removeprefix("data:image/jpeg;base64,"))))
    assert (height, width) == (480, LONG_PX)
    assert photo.size == (width, height)
    assert len(shown["image"]) < 500_000
    assert set(np.unique(unpacked(shown["truth"], height, width))) <= set(np.unique(truth))
    assert unpacked(shown["confidence"], height, width).max() == 100
    assert sum(map(len, (shown["truth"], shown["labels"], shown["confidence"]))) < 100_000


def test_mistakes_are_named_the_largest_first():
    truth = np.array([[0, 0, 0, 1], [1, 1, 1, 255]], np.uint8)
    labels = np.array([[0, 2, 2, 0], [1, 1, 1, 1]], np.uint8)

    about = examine(truth, labels, 4)

    assert about["mistakes"] == [{"truth": 0, "label": 2, "pixels": 2}, {"truth": 1, "label": 0, "pixels": 1}]
    assert about["labelled"] == 7
    assert about["iou"] == [[0, 0.25], [1, 0.75], [2, 0]]


def test_each_shown_image_has_the_score_that_it_has_in_the_evaluation(report, scene):
    content = content_of(report)

    shown = {image["name"]: image["miou"] for image in content["pictures"]}

    assert len(shown) == 5
    assert shown.items() <= scene.evaluation.as_tree()["picture_mious"].items()
    assert content["pictures"][0]["name"] == "all wrong#"
    assert content["pictures"][3]["name"] == "all right"
