"""A recipe made from several data sets."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from support.tiny import draw_images

from cgrseg.advisor import plan_sources
from cgrseg.advisor.plan import shared_classes, shares_by_size
from cgrseg.data.mixture import source_names


def test_classes_of_equal_names_are_one_and_a_background_means_rest():
    own = {"things": ("background", "car"), "streets": ("road", "car")}

    assert shared_classes(own) == (("car", "road"), {"things": {"background": "rest"}, "streets": {}})


def test_a_background_that_hides_no_class_of_another_data_set_is_an_ordinary_class():
    own = {"first": ("background", "car"), "second": ("background", "car")}

    assert shared_classes(own) == (("background", "car"), {"first": {}, "second": {}})


def test_shares_are_proportional_to_square_roots_of_sizes():
    assert shares_by_size({"a": 900, "b": 100}) == {"a": 0.75, "b": 0.25}


def test_sources_are_named_by_kind_or_folder():
    given = [("voc2012", Path("/x")), ("folder", Path("/a/mine")), ("folder", Path("/b/mine")), ("voc2012", Path("/y"))]

    assert source_names(given) == ("voc2012", "mine", "mine-2", "voc2012-2")


def test_a_plan_of_two_folders_is_a_recipe_with_two_sources(tmp_path):
    folders = [draw_images(tmp_path / name) for name in ("first", "second")]
    (folders[1] / "classes.txt").write_text("dark\nwhite\n")

    planned = plan_sources([("folder", folder) for folder in folders], overrides=("train.steps=7",))

    assert planned.recipe.data.classes == ("dark", "bright", "white")
    assert {name: source.share for name, source in planned.recipe.sources.items()} == {"first": 0.5, "second": 0.5}
    assert planned.recipe.train.steps == 7
    assert (planned.facts.learnt, planned.facts.scored) == (12, 4)
    assert str(planned.choices[0]) == "12 images to train on, 4 to evaluate on"


def test_a_folder_without_val_is_split_by_content(tmp_path):
    folders = [draw_images(tmp_path / name) for name in ("first", "second")]
    rng = np.random.default_rng(0)
    for file in (folders[1] / "images/train").iterdir():  # synthetic ones look alike
        blocks = rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(blocks).save(file)
    for part in ("images", "annotations"):
        shutil.rmtree(folders[1] / part / "val")

    planned = plan_sources([("folder", folder) for folder in folders])

    assert planned.recipe.sources["first"].hold_out == ""
    assert len(planned.recipe.sources["second"].hold_out) == planned.facts.scored - 2
    assert str(planned.choices[0]).endswith("split by content: second")
