"""Masks of one class, which teach nothing until what lies around is a class, too."""

import json

import numpy as np
import pytest
from PIL import Image
from support.planted import HEIGHT, WIDTH, all_labels, coco, labelme, make_folder, noise, write_classes, write_meta

from cgrseg.classes import named
from cgrseg.config import DataConfig, SourceConfig
from cgrseg.data.datasets import open_dataset
from cgrseg.data.doctor import Finding, check_dataset, require_sound
from cgrseg.data.doctor.source_rules import check_sources
from cgrseg.data.mixture import common_classes
from cgrseg.errors import DatasetError, RecipeError


@pytest.fixture
def root(tmp_path):
    return make_folder(tmp_path / "mine")


def mask(seed: int) -> np.ndarray:
    """A disc somewhere in the image."""
    y, x = np.random.default_rng(seed).integers(12, 36, 2)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - y) ** 2 + (columns - x) ** 2 < 100


def masks(root, dark: int, light: int, unlabelled: int | None = None, dtype=np.uint8) -> None:
    """A mask for each image, with the first row without label, and one class."""
    write_classes(root, "leaf\n")
    for index, file in enumerate(all_labels(root)):
        values = np.where(mask(index), light, dark).astype(dtype)
        if unlabelled is not None:
            values[0] = unlabelled
        Image.fromarray(values).save(file)


def single(root) -> Finding:
    findings = [finding for finding in check_dataset("folder", root).findings if finding.code == "one-class"]
    assert [finding.severity for finding in findings] == ["error"]
    return findings[0]


def accept(root, finding: Finding) -> None:
    """Do what the fix says."""
    line = finding.fix[finding.fix.index("{") : finding.fix.rindex("}") + 1]
    (root / "classes.txt").unlink(missing_ok=True)
    (root / "meta.json").write_text(line, encoding="utf-8")


@pytest.mark.parametrize(
    ("dark", "light", "unlabelled"), [(0, 255, None), (0, 1, None), (0, 1, 255), (0, 128, None), (0, 128, 255)]
)
def test_a_mask_of_one_class_becomes_background_and_that_class(root, dark, light, unlabelled):
    masks(root, dark, light, unlabelled)

    accept(root, single(root))

    dataset = open_dataset("folder", root, "train")
    expected = mask(0).astype(np.uint8)
    if unlabelled is not None:
        expected[0] = 255
    assert dataset.classes.names == ("background", "leaf")
    assert np.array_equal(dataset.labels(0), expected)
    assert check_dataset("folder", root).findings == ()


def test_255_beside_0_is_the_class_and_not_a_missing_label(root):
    masks(root, 0, 255)

    assert "255 is the class here" in single(root).fix
    assert [finding.code for finding in check_dataset("folder", root).findings] == ["one-class"]


def test_a_value_given_to_the_only_class_is_kept(root):
    masks(root, 0, 255)
    (root / "classes.txt").unlink()
    write_meta(root, classes=["leaf"], values=[255], ignore=[0])

    accept(root, single(root))

    assert np.array_equal(open_dataset("folder", root, "train").labels(0), mask(0))


def test_a_single_class_called_background_is_given_an_object(root):
    masks(root, 0, 255)
    write_classes(root, "background\n")

    assert '{"classes": ["background", "object"], "values": [0, 255]' in single(root).fix


def test_16_bit_masks_of_black_and_white_are_stretched(root):
    masks(root, 0, 65535, dtype=np.uint16)

    assert "stretched" in {finding.code for finding in check_dataset("folder", root).findings}


@pytest.mark.parametrize("value", [0, 255])
def test_one_class_without_surroundings_is_an_error_that_asks_for_them(root, value):
    masks(root, value, value)

    assert "label what lies around" in single(root).fix


def test_an_ignored_colour_becomes_the_background(root):
    masks(root, 0, 1)
    for file in all_labels(root):
        Image.fromarray(np.repeat(np.array(Image.open(file))[..., None] * 200, 3, axis=2)).save(file)
    write_meta(root, classes=["leaf"], palette=[[200, 200, 200]], ignore=[[0, 0, 0]])

    accept(root, single(root))

    assert np.array_equal(open_dataset("folder", root, "train").labels(0), mask(0))


@pytest.mark.parametrize("form", ["labelme", "coco"])
def test_shapes_of_one_class_ask_for_a_background(root, form):
    write_classes(root, "grass\n")
    if form == "coco":
        coco(root)
        tree = json.loads((root / "annotations/val.json").read_text()) | {"categories": [{"id": 0, "name": "grass"}]}
        for split in ("train", "val"):
            images = json.loads((root / f"annotations/{split}.json").read_text())["images"]
            (root / f"annotations/{split}.json").write_text(json.dumps(tree | {"images": images}))
    else:
        for file in all_labels(root)[1:]:
            file.unlink()
            (file.parents[2] / "images" / file.parent.name / file.name).unlink()
        labelme(root, "grass")

    assert single(root).fix.endswith("hold the lines background and grass: what no shape covers becomes background")

    write_classes(root, "background\ngrass\n")
    assert "one-class" not in {finding.code for finding in check_dataset("folder", root).findings}


def test_all_classes_merged_into_one_are_an_error(root):
    merge = {"ground": ("grass", "road", "sky")}

    findings = check_dataset("folder", root, merge=merge).findings

    assert [finding.code for finding in findings] == ["one-class"]
    assert "instead of ignoring them" in findings[0].fix


def test_training_refuses_a_single_class_and_says_how_to_name_two(root):
    masks(root, 0, 255)

    with pytest.raises(DatasetError, match=r'leaf is the only class.*"values": \[0, 255\]'):
        require_sound([open_dataset("folder", root, "train")], root)


def softened(root, quality: int) -> None:
    """The masks as a JPEG that was converted to PNG afterwards."""
    masks(root, 0, 255)
    for file in all_labels(root):
        with Image.open(file) as opened:
            opened.save(file.with_suffix(".jpg"), quality=quality)
        with Image.open(file.with_suffix(".jpg")) as opened:
            opened.load()
            opened.save(file)
        file.with_suffix(".jpg").unlink()


@pytest.mark.parametrize("names", ["leaf\n", "rest\nleaf\n"])
def test_masks_with_values_near_0_and_255_are_told_from_smoothed_maps(root, names):
    softened(root, 85)
    write_classes(root, names)

    codes = {finding.code for finding in check_dataset("folder", root).findings}

    assert codes == {"mask-soft"} | ({"one-class"} if names == "leaf\n" else set())


def test_maps_of_many_values_are_no_soft_masks(root):
    write_classes(root, "leaf\n")
    for index, file in enumerate(all_labels(root)):
        Image.fromarray(noise(index)[..., 0]).save(file)

    assert "mask-soft" not in {finding.code for finding in check_dataset("folder", root).findings}


def test_a_source_of_a_mixture_may_show_one_class_if_it_says_that_the_rest_has_no_label(root, tmp_path):
    masks(root, 0, 255)
    folders = {"mine": root, "other": make_folder(tmp_path / "other")}
    classes = named(("leaf", "grass", "road", "sky"))

    codes = []
    for write in (lambda: None, lambda: write_meta(root, classes=["leaf"], values=[255], ignore=[0])):
        write()
        report = check_sources(dict.fromkeys(folders, SourceConfig()), classes, folders)
        codes.append([finding.code for finding in report.sources["mine"].findings])

    assert codes == [["one-class"], []]


def test_a_recipe_with_one_common_class_is_refused():
    with pytest.raises(RecipeError, match=r"data\.classes names leaf only"):
        common_classes(DataConfig(classes=("leaf",)))
