"""Several data sets are one: their classes become common classes, sets of them, or no label."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cgrseg.classes import named
from cgrseg.config import DataConfig, SourceConfig
from cgrseg.data.mixture import allowed_classes, common_classes, open_mixture
from cgrseg.errors import DatasetError, RecipeError

COMMON = ("sky", "road", "plant", "car")
THINGS = SourceConfig(share=3.0, classes={"background": ("rest", "plant"), "pot": "plant", "blur": "ignore"})
STREETS = SourceConfig(share=1.0, classes={"auto": "car", "*": "plant"})


def draw(folder, classes, maps):
    """A folder data set of one row of pixels an image."""
    for split, rows in maps.items():
        for part in ("images", "annotations"):
            (folder / part / split).mkdir(parents=True)
        for place, row in enumerate(rows):
            labels = np.array([row], np.uint8)
            Image.fromarray(np.full((*labels.shape, 3), 40 * place, np.uint8)).save(
                folder / f"images/{split}/{place}.png"
            )
            Image.fromarray(labels).save(folder / f"annotations/{split}/{place}.png")
    (folder / "classes.txt").write_text("\n".join(classes))
    return folder


@pytest.fixture
def paths(tmp_path):
    things = {"train": [[0, 1, 2, 3], [0, 0, 0, 2]], "val": [[0, 1, 1, 255]]}
    streets = {"train": [[0, 1, 2, 3]]}
    return {
        "things": draw(tmp_path / "things", ("background", "car", "pot", "blur"), things),
        "streets": draw(tmp_path / "streets", ("sky", "road", "auto", "bush"), streets),
    }


def mixed(paths, split="train", things=THINGS, streets=STREETS):
    return open_mixture({"things": things, "streets": streets}, named(COMMON), paths, split)


def test_labels_are_common_classes_sets_of_them_or_none(paths):
    dataset = mixed(paths)

    assert [pair.name for pair in dataset.pairs] == ["things/0", "things/1", "streets/0"]
    assert dataset.sets == ((0, 1, 2),)  # the rest, sky and road, and plant
    assert dataset.labels(0).tolist() == [[4, 3, 2, 255]]
    assert dataset.labels(2).tolist() == [[0, 1, 3, 2]]
    assert dataset.plain_labels(0).tolist() == [[255, 3, 2, 255]]


def test_a_mixture_counts_the_pixels_of_one_class_and_weighs_sources_by_their_share(paths):
    dataset = mixed(paths)

    assert dataset.class_counts().tolist() == [[0, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 1]]
    assert dataset.shares == {"things": 0.75, "streets": 0.25}
    expected = 0.75 * np.array([0, 0, 2, 1]) / 8 + 0.25 * np.ones(4) / 4
    assert dataset.class_shares() == pytest.approx(expected / expected.sum())


def test_a_part_of_a_mixture_reads_the_same_labels(paths):
    dataset = mixed(paths)

    part = replace(dataset, pairs=dataset.pairs[2:])

    assert part.labels(0).tolist() == dataset.labels(2).tolist()
    assert part.fingerprints() == dataset.fingerprints()[2:]


def test_a_source_without_val_is_not_scored_and_that_is_said(paths, caplog):
    with caplog.at_level(logging.INFO):
        dataset = mixed(paths, "val")

    assert [pair.name for pair in dataset.pairs] == ["things/0"]
    assert "streets has no val, so it is not scored" in caplog.text


def test_a_source_may_hold_out_what_is_scored(paths):
    things = replace(THINGS, hold_out="1")

    learnt, scored = (mixed(paths, split, things=things) for split in ("train", "val"))

    assert [pair.name for pair in learnt.pairs] == ["things/0", "streets/0"]
    assert [pair.name for pair in scored.pairs] == ["things/1"]


def test_without_anything_to_score_on_it_is_refused(paths):
    with pytest.raises(DatasetError, match="no source has images to score on: streets"):
        open_mixture({"streets": STREETS}, named(COMMON), {"streets": paths["streets"]}, "val")


def test_what_may_be_any_class_says_nothing():
    source = SourceConfig(classes={"background": "rest"})

    assert allowed_classes(("background",), source, COMMON, "s") == ((),)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({"backgrond": "sky"}, "s: classes: the data set has no class 'backgrond'; did you mean 'background'"),
        ({"background": "rod"}, "s: classes: background: data.classes has no 'rod'; did you mean 'road'"),
        ({}, "background of the data set has no entry and is not in data.classes; list it"),
        ({"background": ("ignore", "sky")}, "background: 'ignore' stands alone"),
    ],
)
def test_a_mistake_about_classes_is_one_sentence(classes, message):
    with pytest.raises(RecipeError, match=message):
        allowed_classes(("background", "car"), SourceConfig(classes=classes), COMMON, "s")


def test_rest_must_leave_something():
    with pytest.raises(RecipeError, match="'rest' is empty"):
        allowed_classes((*COMMON, "background"), SourceConfig(classes={"background": "rest"}), COMMON, "s")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(), "data.classes is empty"),
        (DataConfig(classes=("a", "b", "a")), "lists 'a' twice"),
        (DataConfig(classes=("a", "rest")), "'rest' has a meaning of its own"),
        (DataConfig(classes=("a", "b"), colours=((0, 0, 0),)), "1 colours for 2 classes"),
    ],
)
def test_common_classes_are_checked(config, message):
    with pytest.raises(RecipeError, match=message):
        common_classes(config)


def test_common_classes_may_bring_their_colours():
    assert common_classes(DataConfig(classes=("a", "b"), colours=((1, 2, 3), (4, 5, 6)))).colours[0] == (1, 2, 3)


def test_sources_and_paths_must_meet(paths):
    with pytest.raises(DatasetError, match="no source 'thing'; did you mean 'things'"):
        mixed(paths | {"thing": paths["things"]})
    with pytest.raises(DatasetError, match="no path is given for streets"):
        mixed({"things": paths["things"]})


def test_a_share_that_is_never_drawn_is_refused(paths):
    with pytest.raises(RecipeError, match="things: a share of 0 of 1 is under 1 image in 1,000"):
        mixed(paths, things=replace(THINGS, share=0.0))


def test_a_value_that_a_source_does_not_define_names_its_file(paths):
    Image.fromarray(np.full((1, 4), 9, np.uint8)).save(paths["streets"] / "annotations/train/0.png")

    with pytest.raises(DatasetError, match=r"streets/annotations/train/0\.png holds the value 9"):
        mixed(paths).labels(2)


def test_a_source_may_have_its_labels_in_one_json_for_all_images(tmp_path):
    for folder in ("images", "annotations"):
        (tmp_path / "mine" / folder).mkdir(parents=True)
    Image.new("RGB", (4, 3)).save(tmp_path / "mine/images/a.png")
    tree = {
        "images": [{"id": 1, "file_name": "a.png", "height": 3, "width": 4}],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "road"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": category, "segmentation": {"size": [3, 4], "counts": counts}}
            for category, counts in ((1, [0, 6, 6]), (2, [6, 6]))
        ],
    }
    (tmp_path / "mine/annotations/train.json").write_text(json.dumps(tree))
    sources = {"mine": SourceConfig(kind="folder")}

    dataset = open_mixture(sources, named(("road", "car")), {"mine": tmp_path / "mine"}, "train")

    assert dataset.labels(0).tolist() == [[1, 1, 0, 0]] * 3
