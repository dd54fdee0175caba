"""Images without shapes and crowds, in LabelMe's and COCO's files."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from support.planted import HEIGHT, NAMES, WIDTH, image, labels, make_folder, write_classes, write_meta

from cgrseg.data.datasets import open_dataset
from cgrseg.data.doctor import check_dataset, require_sound

LEFT, RIGHT = [[0, 0, 32, 0, 32, HEIGHT, 0, HEIGHT]], [[32, 0, WIDTH, 0, WIDTH, HEIGHT, 32, HEIGHT]]


@pytest.fixture
def root(tmp_path):
    """Six training images and no val."""
    folder = make_folder(tmp_path / "mine")
    for part in ("images", "annotations"):
        shutil.rmtree(folder / part / "val")
    return folder


def coco(root, annotations, names=NAMES):
    """Labels in COCO's format: (image, category, polygons, iscrowd)."""
    (root / "classes.txt").unlink()
    shutil.rmtree(root / "annotations/train")
    tree = {
        "images": [{"id": i, "file_name": f"p{i}.png", "height": HEIGHT, "width": WIDTH} for i in range(6)],
        "categories": [{"id": index, "name": name} for index, name in enumerate(names)],
        "annotations": [
            {"image_id": i, "category_id": names.index(name), "segmentation": mask, "iscrowd": crowd}
            for i, name, mask, crowd in annotations
        ],
    }
    (root / "annotations/train.json").write_text(json.dumps(tree))


def labelme(root, shapes):
    """LabelMe files; `shapes` are the names of the polygons of each image."""
    for index, names in enumerate(shapes):
        labels(root, index).unlink()
        halves = [np.reshape(half[0], (-1, 2)).tolist() for half in (LEFT, RIGHT)]
        tree = {"shapes": [{"label": name, "points": half} for name, half in zip(names, halves, strict=False)]}
        labels(root, index).with_suffix(".json").write_text(json.dumps(tree))


def findings(root):
    return {finding.code: finding for finding in check_dataset("folder", root).findings if finding.code != "no-val"}


BOTH = [(i, name, half, 0) for i in range(5) for name, half in (("grass", LEFT), ("road", RIGHT))]


def test_a_coco_image_without_annotations_is_a_negative(root):
    coco(root, [(i, "road", LEFT, 0) for i in range(5)], ("background", "road"))

    found = findings(root)

    assert set(found) == {"negatives", "same-labels"}
    assert found["negatives"].files == ("images/train/p5.png",)
    assert found["negatives"].sentence == "1 image has no shape and is background everywhere (a negative)"


@pytest.mark.parametrize("form", ["coco", "labelme"])
def test_images_without_shapes_have_no_label_unless_there_is_a_background(root, form):
    if form == "coco":
        coco(root, BOTH, ("grass", "road"))
    else:
        write_classes(root, "grass\nroad\n")
        labelme(root, [("grass", "road")] * 5 + [()])

    found = findings(root)

    assert set(found) == {"no-shapes", "same-labels"}
    assert found["no-shapes"].severity == "warning"
    assert found["no-shapes"].files == ("images/train/p5.png",)
    assert found["no-shapes"].fix.endswith("hold the lines background, grass, road; or label them")
    require_sound([open_dataset("folder", root, "train")], root)


def test_a_labelme_file_without_shapes_is_a_negative(root):
    write_classes(root, "background\ngrass\nroad\n")
    labelme(root, [("grass", "road")] * 5 + [()])

    assert set(findings(root)) == {"negatives", "same-labels"}


def test_ignored_colours_are_no_16_bit_numbers(root):
    for index in range(6):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(labels(root, index))
    drawn = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    drawn[:20], drawn[20:40] = (0, 128, 0), (128, 64, 128)
    Image.fromarray(drawn).save(labels(root))
    write_meta(root, classes=["grass", "road"], palette=[[0, 128, 0], [128, 64, 128]], ignore=[[0, 0, 0]])

    assert set(findings(root)) == {"map-unlabelled"}


def test_65535_beside_0_is_no_label_in_16_bits_if_other_maps_show_classes(root):
    values = np.zeros((HEIGHT, WIDTH), np.uint16)
    values[:9] = 65535
    Image.fromarray(values).save(labels(root))

    assert set(findings(root)) == {"label-16"}


def test_brush_masks_that_are_all_marked_as_crowds_are_labels(root):
    coco(root, [(i, name, half, int(name == "road")) for i, name, half, _ in BOTH], ("grass", "road"))

    assert open_dataset("folder", root, "train").labels(0)[0, [0, -1]].tolist() == [0, 1]
    crowds = findings(root)["crowd-labels"]
    assert crowds.sentence == "5 masks are marked as crowds, like most masks of road: read as labels"
    assert crowds.severity == "note"


def test_reading_crowds_as_labels_is_told(root, caplog):
    coco(root, [(i, name, half, int(name == "road")) for i, name, half, _ in BOTH], ("grass", "road"))

    open_dataset("folder", root, "train")

    assert "5 masks of road are marked as crowds" in caplog.text


@pytest.mark.parametrize(("of", "severity"), [(60, "note"), (4, "warning")])
def test_crowds_without_label_are_counted(root, of, severity):
    coco(
        root, [*BOTH, *[(0, "road", RIGHT, 0)] * of, (1, "grass", RIGHT, 1), (2, "grass", RIGHT, 1)], ("grass", "road")
    )

    crowds = findings(root)["crowd"]

    assert (crowds.severity, crowds.count) == (severity, 2)
    assert f"2 of {12 + of} masks are marked as crowds" in crowds.sentence


def test_the_image_is_named_where_one_file_holds_all_labels(root):
    coco(root, [*BOTH, (5, "road", [*LEFT, *RIGHT], 0)], ("grass", "road"))

    assert findings(root)["map-single"].files == (str(image(root, 5).relative_to(root)),)


def test_a_mask_that_cannot_be_read_counts_its_images_not_the_file(root):
    coco(root, [*BOTH, (1, "grass", [], 0), (3, "grass", None, 0)], ("grass", "road"))

    finding = findings(root)["shapes"]

    assert finding.sentence == (
        "the labels of 2 of 6 images cannot be drawn: annotations/train.json: annotation 11 of p1.png cannot be read: "
        "it has no outline, and boxes are not labels"
    )
    assert finding.files == ("images/train/p1.png", "images/train/p3.png")
    assert finding.fix == "draw its outline, or take it out of the file"


def test_a_sentence_about_a_json_is_not_its_own_fix(root):
    coco(root, BOTH, ("grass", "road"))
    file = root / "annotations/train.json"

    for spoilt in ("{", "[]", file.read_text().replace('"category_id": 1', '"category_id": 12')):
        file.write_text(spoilt)
        finding = findings(root)["layout"]
        assert finding.fix not in ("", finding.sentence)


def test_no_command_moves_the_json_of_all_images(root):
    coco(root, BOTH, ("grass", "road"))
    for name in ("p0", "train"):
        image(root).rename(image(root).with_name(f"{name}.png"))
        text = (root / "annotations/train.json").read_text().replace("p0.png", f"{name}.png")
        (root / "annotations/train.json").write_text(text)
        (root / f"images/train/{name}.png").write_bytes(b"")

        assert "train.json" not in findings(root)["picture-empty"].fix
        shutil.copy(image(root, 1), image(root))
