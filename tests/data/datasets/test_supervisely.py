"""Projects of Supervisely, drawn in their own layout."""

import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image
from support.planted import HEIGHT, WIDTH, noise

from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.folder import has_split
from cgrseg.data.doctor import check_dataset
from cgrseg.errors import DatasetError

MASK = np.array([[1, 1, 0], [0, 1, 1]], bool)


def data_of(mask: np.ndarray, mode: str = "P") -> str:
    """A bitmap as Supervisely writes it: a palette PNG whose first colour is transparent; or in another mode."""
    stream = io.BytesIO()
    image = Image.fromarray(mask.astype(np.uint8) * (1 if mode == "P" else 255))
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(stream, "PNG", transparency=0, bits=1)
    else:
        if mode == "RGBA":
            image = Image.merge("RGBA", [Image.new("L", image.size, 255)] * 3 + [image])
        image.save(stream, "PNG")
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def bitmap(name, mask, origin, mode="P"):
    return {"classTitle": name, "geometryType": "bitmap", "bitmap": {"data": data_of(mask, mode), "origin": origin}}


def polygon(name, outer, *holes, kind="polygon"):
    return {"classTitle": name, "geometryType": kind, "points": {"exterior": outer, "interior": list(holes)}}


LEFT = [[0, 0], [31, 0], [31, HEIGHT - 1], [0, HEIGHT - 1]]


def make(root, objects=(), datasets=("ds0",), count=2, ending=".jpg.json"):
    """A project in which every image has the same objects."""
    for index, name in enumerate(datasets):
        for folder in ("img", "ann"):
            (root / name / folder).mkdir(parents=True, exist_ok=True)
        for seed in range(count):
            Image.fromarray(noise(10 * index + seed)).save(root / name / f"img/p{seed}.jpg")
            tree = {"description": "", "tags": [], "size": {"height": HEIGHT, "width": WIDTH}, "objects": list(objects)}
            (root / name / f"ann/p{seed}{ending}").write_text(json.dumps(tree))
    classes = [{"title": "car", "shape": "bitmap", "color": "#FA3253"}, {"title": "road", "color": "#3d3df5"}]
    (root / "meta.json").write_text(json.dumps({"classes": classes, "tags": []}))
    return root


@pytest.mark.parametrize("ending", [".jpg.json", ".json"])
def test_classes_colours_and_shapes_come_through(tmp_path, ending):
    hole = [[4, 4], [6, 4], [6, 6], [4, 6]]
    make(tmp_path, [polygon("road", LEFT, hole), bitmap("car", MASK, [40, 10])], ending=ending)

    dataset = open_dataset("folder", tmp_path, "train")
    labels = dataset.labels(0)

    expected = np.full((HEIGHT, WIDTH), 255)
    expected[:, :32] = 1
    expected[4:7, 4:7] = 255
    expected[10:12, 40:43][MASK] = 0
    assert dataset.classes.names == ("car", "road")
    assert dataset.classes.colours == ((250, 50, 83), (61, 61, 245))
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize("mode", ["P", "L", "RGBA"])
@pytest.mark.parametrize(("origin", "rows", "columns"), [([-1, -1], [0], [0, 1]), ([WIDTH - 2, 7], [7, 8], [62, 63])])
def test_bitmaps_of_any_kind_may_reach_over_the_edge(tmp_path, mode, origin, rows, columns):
    make(tmp_path, [bitmap("car", MASK, origin, mode)])

    labels = open_dataset("folder", tmp_path, "train").labels(0)

    top, left = rows[0] - origin[1], columns[0] - origin[0]
    part = MASK[top : top + len(rows), left : left + len(columns)]
    assert np.array_equal(labels[np.ix_(rows, columns)] == 0, part)
    assert np.count_nonzero(labels == 0) == part.sum()


def test_later_objects_cover_earlier_ones_and_rectangles_have_an_area(tmp_path):
    make(tmp_path, [polygon("road", LEFT), polygon("car", [[2, 3], [4, 9]], kind="rectangle")])

    labels = open_dataset("folder", tmp_path, "train").labels(0)

    assert np.argwhere(labels == 0).min(axis=0).tolist() == [3, 2]
    assert np.argwhere(labels == 0).max(axis=0).tolist() == [9, 4]
    assert np.count_nonzero(labels == 0) == 7 * 3


def test_data_sets_that_are_called_so_are_the_splits(tmp_path):
    make(tmp_path, [polygon("road", LEFT)], datasets=("train", "validation", "extra"))

    assert [len(open_dataset("folder", tmp_path, split)) for split in ("train", "val")] == [2, 2]
    assert check_dataset("folder", tmp_path, ("train", "val")).images == {"train": 2, "val": 2}


def test_otherwise_all_data_sets_are_train(tmp_path):
    make(tmp_path, [polygon("road", LEFT)], datasets=("monday", "tuesday"))

    dataset = open_dataset("folder", tmp_path, "train")

    assert [pair.name for pair in dataset.pairs] == ["monday/p0", "monday/p1", "tuesday/p0", "tuesday/p1"]
    assert not has_split(tmp_path, "val")
    with pytest.raises(DatasetError, match="has no data set called 'val'; its data sets are monday, tuesday"):
        open_dataset("folder", tmp_path, "val")


def test_a_project_passes_its_check(tmp_path):
    make(tmp_path, [polygon("road", LEFT), bitmap("car", MASK, [40, 10])])
    other = json.loads((tmp_path / "ds0/ann/p1.jpg.json").read_text())
    (tmp_path / "ds0/ann/p1.jpg.json").write_text(json.dumps(other | {"objects": []}))

    report = check_dataset("folder", tmp_path)

    assert report.layout == "Supervisely's project"
    assert [finding.code for finding in report.findings] == ["no-shapes", "no-val"]


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (polygon("tram", LEFT), "object 1: 'tram' is not a class; the classes are car, road"),
        (polygon("car", LEFT[:2]), "object 1 is a polygon of 2 points, which has no area"),
        (polygon("car", LEFT[:1], kind="point"), "object 1 is a point, which has no area; shapes with one are bitmap"),
        (bitmap("car", MASK, [0, 0]) | {"bitmap": {"data": "eA==", "origin": [0, 0]}}, "holds a bitmap that is not a"),
        ({"classTitle": "car"}, "is not from Supervisely: 'points' is missing; export the project again"),
    ],
)
def test_an_object_that_cannot_be_drawn_is_named(tmp_path, bad, sentence):
    make(tmp_path, [bad])

    with pytest.raises(DatasetError, match=sentence):
        open_dataset("folder", tmp_path, "train").labels(0)
    assert "shapes" in {finding.code for finding in check_dataset("folder", tmp_path).findings}


def test_an_image_without_annotation_is_named(tmp_path):
    make(tmp_path, [polygon("road", LEFT)])
    (tmp_path / "ds0/ann/p1.jpg.json").unlink()

    with pytest.raises(DatasetError, match="1 of 2 have no label file: p1"):
        open_dataset("folder", tmp_path, "train")


def test_a_background_may_be_added_by_classes_txt(tmp_path):
    make(tmp_path, [polygon("road", LEFT)])
    (tmp_path / "classes.txt").write_text("background\nroad\ncar\n")

    assert np.unique(open_dataset("folder", tmp_path, "train").labels(0)).tolist() == [0, 1]
