"""A folder whose labels are JSONs of LabelMe, drawn as LabelMe's own export draws them."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cgrseg.data.datasets import open_dataset
from cgrseg.errors import DatasetError

HEIGHT, WIDTH = 20, 30


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def png(mask: np.ndarray) -> str:
    data = io.BytesIO()
    Image.fromarray(mask).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


@pytest.fixture
def labels_of(tmp_path):
    """Draws shapes as a label map of two classes, grass and sky."""
    for folder in ("images/train", "annotations/train"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images/train/a.jpg")
    (tmp_path / "classes.txt").write_text("grass\nsky\n")

    def labels_of(*shapes, classes=None, **more):
        tree = {"shapes": list(shapes), "imageHeight": HEIGHT, "imageWidth": WIDTH, "imageData": None} | more
        (tmp_path / "annotations/train/a.json").write_text(json.dumps(tree), encoding="utf-8")
        if classes:
            (tmp_path / "classes.txt").write_text(classes)
        return open_dataset("folder", tmp_path, "train").labels(0)

    return labels_of


def drawn(method: str, *arguments: object) -> np.ndarray:
    """Where Pillow draws a filled and outlined shape."""
    canvas = Image.new("L", (WIDTH, HEIGHT))
    getattr(ImageDraw.Draw(canvas), method)(*arguments, fill=1, outline=1)
    return np.array(canvas) == 1


POLYGON = [[2.4, 1.7], [25.2, 3.1], [14.6, 17.9], [3.5, 12.2]]


@pytest.mark.parametrize(
    ("points", "kind", "method", "arguments"),
    [
        (POLYGON, "polygon", "polygon", [[tuple(point) for point in POLYGON]]),
        (POLYGON, None, "polygon", [[tuple(point) for point in POLYGON]]),
        ([[3.2, 4.8], [12.6, 9.1]], "rectangle", "rectangle", [[3.2, 4.8, 12.6, 9.1]]),
        ([[12.6, 9.1], [3.2, 4.8]], "rectangle", "rectangle", [[3.2, 4.8, 12.6, 9.1]]),
        ([[15, 10], [18, 14]], "circle", "ellipse", [[10, 5, 20, 15]]),
        ([[3, 4], [12, 4], [12, 9], [3, 9]], "rectangle", "rectangle", [[3, 4, 12, 9]]),
        ([[10, 2], [18, 8], [12, 16], [4, 10]], "rotation", "polygon", [[(10, 2), (18, 8), (12, 16), (4, 10)]]),
        (
            [[10, 2], [18, 8], [12, 16], [4, 10]],
            "oriented_rectangle",
            "polygon",
            [[(10, 2), (18, 8), (12, 16), (4, 10)]],
        ),
        ([[10, 2], [18, 8], [12, 16]], "rectangle", "polygon", [[(10, 2), (18, 8), (12, 16), (4, 10)]]),
    ],
)
def test_a_shape_covers_what_labelme_exports(labels_of, points, kind, method, arguments):
    labels = labels_of(shape("sky", points, kind))

    assert np.array_equal(labels, np.where(drawn(method, *arguments), 1, 255))


def test_a_mask_lies_where_its_box_begins(labels_of):
    mask = np.array([[True, False], [True, True]])

    labels = labels_of(shape("sky", [[4, 6], [5, 7]], "mask", mask=png(mask)))

    assert np.array_equal(np.argwhere(labels == 1), [[6, 4], [7, 4], [7, 5]])


def test_later_shapes_cover_earlier_ones(labels_of):
    labels = labels_of(
        shape("sky", [[0, 0], [29, 19]], "rectangle"),
        shape("grass", [[0, 10], [29, 19]], "rectangle"),
        shape("__ignore__", [[0, 15], [29, 19]], "rectangle"),
    )

    assert [int(value) for value in labels[[0, 9, 10, 14, 15, 19], 7]] == [1, 1, 0, 0, 255, 255]


@pytest.mark.parametrize("background", ["background", "_background_"])
def test_what_no_shape_covers_is_background_where_there_is_such_a_class(labels_of, background):
    labels = labels_of(
        shape("sky", [[0, 0], [29, 4]], "rectangle"),
        shape("__ignore__", [[0, 15], [29, 19]], "rectangle"),
        classes=f"{background}\nsky\n",
    )

    assert [int(value) for value in labels[[0, 10, 19], 7]] == [1, 0, 255]


def test_a_file_of_an_old_version_takes_its_size_from_the_image(labels_of):
    labels = labels_of({"label": "sky", "points": POLYGON}, imageHeight=None, imageWidth=None)

    assert labels.shape == (HEIGHT, WIDTH)
    assert (labels == 1).any()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (shape("gras", POLYGON), r"a\.json: shape 1: 'gras' is not a class; did you mean 'grass'\?"),
        (shape("tram", POLYGON), "'tram' is not a class; the classes are grass, sky"),
        (shape("sky", POLYGON[:2]), "shape 1 has 2 points where a polygon needs 3; draw it again, or delete it"),
        (shape("sky", POLYGON[:1]), "shape 1 has 1 points where a polygon needs 3; draw it again, or delete it"),
        (shape("sky", POLYGON[:1], "circle"), "shape 1 has 1 points where a circle needs 2"),
        (shape("sky", POLYGON[:1], "rectangle"), "shape 1 has 1 points where a rectangle needs 2"),
        (shape("sky", POLYGON[:1], "point"), "shape 1 is a point, which has no area; .* draw it as one of them"),
        (shape("sky", POLYGON[:2], "line"), "shape 1 is a line, which has no area; shapes with one are polygon, "),
        (shape("sky", POLYGON[:2], "mask", mask="eA=="), r"holds a mask that is not a PNG in base 64"),
        (shape("sky", POLYGON[:2], "mask"), "'mask' is missing"),
        (shape("sky", [[1, 2], [3]]), "is not a JSON of LabelMe: not enough values"),
        ({"points": POLYGON}, "'label' is missing"),
    ],
)
def test_a_shape_that_cannot_be_drawn_is_named(labels_of, bad, sentence):
    with pytest.raises(DatasetError, match=sentence):
        labels_of(bad)


@pytest.mark.parametrize("content", ["", "[]", '{"version": "5.0"}', "\u00e4"])
def test_another_json_is_one_sentence(labels_of, tmp_path, content):
    labels_of()
    (tmp_path / "annotations/train/a.json").write_bytes(content.encode("latin-1"))

    with pytest.raises(DatasetError, match=r"a\.json is not (a JSON of LabelMe: |in UTF-8)"):
        open_dataset("folder", tmp_path, "train").labels(0)


def test_a_size_that_is_not_the_images_is_refused(labels_of):
    with pytest.raises(DatasetError, match=r"a\.json is 31 x 20 pixels but its image .*a\.jpg is 30 x 20"):
        labels_of(imageWidth=31)
