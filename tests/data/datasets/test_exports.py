"""Exports of annotation programs, drawn in the layout of each, and folders of images and masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.planted import HEIGHT, WIDTH, noise

from cgrseg.data.datasets import open_dataset
from cgrseg.data.datasets.folder import has_split
from cgrseg.data.doctor import check_dataset
from cgrseg.errors import DatasetError

COUNTS = {"train": 3, "val": 2}
NAMES = ["background", "road", "car"]


def numbers(seed: int) -> np.ndarray:
    """A label map of three classes in blocks."""
    return np.random.default_rng(seed).integers(0, 3, (6, 8), np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def seeds(split: str) -> list[int]:
    return [100 * list(COUNTS).index(split) + index for index in range(COUNTS[split])]


def save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def coco(file: Path, split: str, names: list[str], image: str, **more) -> None:
    """A JSON with a mask for each class and image, as run lengths."""
    annotations = []
    for key, seed in enumerate(seeds(split), 5):
        for value, _ in enumerate(names):
            mask = (numbers(seed) == value).ravel(order="F")
            runs = np.diff(np.flatnonzero(np.diff(mask, prepend=~mask[0])), append=mask.size)
            counts = [*([0] if mask[0] else []), *runs.tolist()]
            segmentation = {"size": [HEIGHT, WIDTH], "counts": counts}
            annotations.append(
                {"id": len(annotations), "image_id": key, "category_id": value + 1, "segmentation": segmentation}
            )
    images = [
        {"id": key, "file_name": image.format(seed), "height": HEIGHT, "width": WIDTH}
        for key, seed in enumerate(seeds(split), 5)
    ]
    groups = [{"id": 0, "name": "street", "supercategory": "none"}] if more else []
    categories = [*groups, *({"id": key, "name": name, **more} for key, name in enumerate(names, 1))]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def roboflow_masks(root):
    for split, folder in (("train", "train"), ("val", "valid")):
        for seed in seeds(split):
            save(root / folder / f"p{seed}_jpg.rf.0a1.jpg", noise(seed))
            save(root / folder / f"p{seed}_jpg.rf.0a1_mask.png", numbers(seed))
        (root / folder / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, road\n2, car\n")


def roboflow_coco(root):
    for split, folder in (("train", "train"), ("val", "valid")):
        for seed in seeds(split):
            save(root / folder / f"p{seed}.jpg", noise(seed))
        coco(root / folder / "_annotations.coco.json", split, NAMES, "p{}.jpg", supercategory="street")


def cvat_coco(root):
    for seed in seeds("train"):
        save(root / f"images/p{seed}.jpg", noise(seed))
    coco(root / "annotations/instances_default.json", "train", NAMES, "p{}.jpg")


def cvat_coco_splits(root):
    for split, name in (("train", "train"), ("val", "validation")):
        for seed in seeds(split):
            save(root / f"images/{name}/p{seed}.jpg", noise(seed))
        coco(root / f"annotations/instances_{name}.json", split, NAMES, "p{}.jpg")


def coco_2017(root):
    for split in COUNTS:
        for seed in seeds(split):
            save(root / f"{split}2017/{seed:012}.jpg", noise(seed))
        coco(root / f"annotations/instances_{split}2017.json", split, NAMES, "{:012}.jpg")


def label_studio_coco(root):
    for seed in seeds("train"):
        save(root / f"images/0123abc{seed}-p{seed}.jpg", noise(seed))
    coco(root / "result.json", "train", NAMES, "..\\..\\label-studio\\media\\upload\\4\\0123abc{0}-p{0}.jpg")


def pairs(root, image: str, labels: str, splits: dict[str, str]):
    for split, name in splits.items():
        for seed in seeds(split):
            save(root / image.format(split=name, stem=f"p{seed}"), noise(seed))
            save(root / labels.format(split=name, stem=f"p{seed}"), numbers(seed))
    (root / "classes.txt").write_text("\n".join(NAMES))


BOTH, WITH_VALID = {"train": "train", "val": "val"}, {"train": "train", "val": "valid"}


def mmsegmentation(root):
    pairs(root, "img_dir/{split}/{stem}.jpg", "ann_dir/{split}/{stem}.png", BOTH)


def masks(root):
    pairs(root, "images/{stem}.jpg", "masks/{stem}.png", {"train": ""})


def masks_in_splits(root):
    pairs(root, "images/{split}/{stem}.jpg", "masks/{split}/{stem}.png", WITH_VALID)


def splits_of_masks(root):
    pairs(root, "{split}/images/{stem}.jpg", "{split}/masks/{stem}.png", WITH_VALID)


def masks_in_folders(root):
    pairs(root, "images/day 1/{stem}.jpg", "masks/day 1/{stem}.png", {"train": ""})


def masks_with_an_ending(root):
    pairs(root, "images/{stem}.JPG", "labels/{stem}_mask.png", {"train": ""})


def masks_beside_in_splits(root):
    pairs(root, "{split}_images/{stem}.jpg", "{split}_masks/{stem}.png", BOTH)


def endings_of_cityscapes(root):
    pairs(root, "img_dir/{split}/{stem}_leftImg8bit.png", "ann_dir/{split}/{stem}_gtFine_labelIds.png", BOTH)


EXPORTS = {
    masks_beside_in_splits: ("images and annotations", COUNTS),
    endings_of_cityscapes: ("images and annotations", COUNTS),
    roboflow_masks: ("Roboflow's semantic masks", COUNTS),
    roboflow_coco: ("Roboflow's COCO export", COUNTS),
    cvat_coco: ("an export in COCO's format, as CVAT writes it", {"train": 3}),
    cvat_coco_splits: ("an export in COCO's format, as CVAT writes it", COUNTS),
    coco_2017: ("an export in COCO's format, as CVAT writes it", COUNTS),
    label_studio_coco: ("Label Studio's COCO export", {"train": 3}),
    mmsegmentation: ("images and annotations", COUNTS),
    masks: ("images and annotations", {"train": 3}),
    masks_in_splits: ("images and annotations", COUNTS),
    splits_of_masks: ("images and annotations", COUNTS),
    masks_in_folders: ("images and annotations", {"train": 3}),
    masks_with_an_ending: ("images and annotations", {"train": 3}),
}


@pytest.mark.parametrize(("make", "expected"), EXPORTS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_an_export_is_read_as_it_is(tmp_path, make, expected):
    make(tmp_path)

    for split in expected[1]:
        dataset = open_dataset("folder", tmp_path, split)
        assert list(dataset.classes.names) == NAMES
        for index, seed in enumerate(seeds(split)):
            assert np.array_equal(dataset.labels(index), numbers(seed))
            assert dataset.image(index).shape == (HEIGHT, WIDTH, 3)
    assert has_split(tmp_path, "val") == ("val" in expected[1])
    report = check_dataset("folder", tmp_path)
    assert (report.layout, report.images) == expected
    notes = {"no-val"} if "val" not in expected[1] else set()
    more = {roboflow_coco: "root-category", masks_with_an_ending: "ending", endings_of_cityscapes: "ending"}
    extra = {more[make]} if make in more else set()
    assert {finding.code for finding in report.findings} == notes | extra


def test_the_test_images_of_roboflow_are_a_split_too(tmp_path):
    roboflow_masks(tmp_path)
    (tmp_path / "valid").rename(tmp_path / "test")

    assert not has_split(tmp_path, "val")
    assert len(open_dataset("folder", tmp_path, "test")) == COUNTS["val"]


def test_values_of_roboflow_are_those_of_its_list(tmp_path):
    roboflow_masks(tmp_path)
    for file in tmp_path.glob("*/_classes.csv"):
        file.write_text('Pixel Value, Class\n2, "car, parked"\n0, background\n1, road\n')

    dataset = open_dataset("folder", tmp_path, "train")

    assert dataset.classes.names == ("car, parked", "background", "road")
    assert np.array_equal(dataset.labels(0), np.array([1, 2, 0])[numbers(0)])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Pixel Value, Class\n0, a\n0, b\n", "gives a value to two classes"),
        ("Pixel Value, Class\n0\n", "'0' names no class; a line is a value and a name"),
        ("Pixel Value, Class\n0, a\nx, b\n", "'x, b' names no class"),
        ("", "names 0 classes"),
    ],
)
def test_a_slip_in_roboflows_list_is_one_sentence(tmp_path, text, sentence):
    roboflow_masks(tmp_path)
    (tmp_path / "train/_classes.csv").write_text(text)

    with pytest.raises(DatasetError, match=sentence):
        open_dataset("folder", tmp_path, "train")


def test_an_image_may_end_like_a_mask(tmp_path):
    roboflow_masks(tmp_path)
    save(tmp_path / "train/p9_mask.png", noise(9))
    save(tmp_path / "train/p9_mask_mask.png", numbers(9))

    dataset = open_dataset("folder", tmp_path, "train")

    assert dataset.pairs[-1].name == "p9_mask"
    assert np.array_equal(dataset.labels(3), numbers(9))


def test_an_image_without_mask_is_named(tmp_path):
    roboflow_masks(tmp_path)
    next((tmp_path / "train").glob("*_mask.png")).unlink()

    (finding,) = [found for found in check_dataset("folder", tmp_path).findings if found.severity == "error"]

    assert finding.code == "no-label"
    assert finding.sentence == "1 of 3 images of train has no label file"


def test_two_folders_that_could_hold_the_labels_are_told(tmp_path):
    masks(tmp_path)
    save(tmp_path / "labels/p0.png", numbers(0))

    with pytest.raises(DatasetError, match="several folders that could hold the labels: masks and labels; rename all"):
        open_dataset("folder", tmp_path, "train")
    assert check_dataset("folder", tmp_path).findings[0].code == "layout"


def test_labels_that_end_in_different_ways_are_not_guessed(tmp_path):
    masks_with_an_ending(tmp_path)
    (tmp_path / "labels/p0_mask.png").rename(tmp_path / "labels/p0-old-mask.png")

    codes = {finding.code for finding in check_dataset("folder", tmp_path).findings}

    assert codes >= {"no-label", "no-picture"} or "layout" in codes


def test_the_folder_above_names_the_one_that_is_meant(tmp_path):
    mmsegmentation(tmp_path / "unpacked/export")

    finding = check_dataset("folder", tmp_path / "unpacked").findings[0]

    assert finding.code == "no-folder"
    assert finding.fix == f"the data set seems to be {tmp_path}/unpacked/export: give that folder"
    with pytest.raises(DatasetError, match=r"the data set seems to be .*unpacked/export: give that folder"):
        open_dataset("folder", tmp_path / "unpacked", "train")


def test_labelme_may_save_beside_the_images(tmp_path):
    corners = [[0, 0], [31, 0], [31, HEIGHT - 1], [0, HEIGHT - 1]]
    for seed in range(3):
        save(tmp_path / f"p{seed}.jpg", noise(seed))
        tree = {"shapes": [{"label": "road", "points": corners}], "imagePath": f"p{seed}.jpg"}
        (tmp_path / f"p{seed}.json").write_text(json.dumps(tree))
    assert "the shapes are called road" in check_dataset("folder", tmp_path).findings[0].fix
    (tmp_path / "classes.txt").write_text("background\nroad\n")

    dataset = open_dataset("folder", tmp_path, "train")

    assert check_dataset("folder", tmp_path).layout == "LabelMe's files beside the images"
    assert np.array_equal(dataset.labels(0), np.broadcast_to(np.arange(WIDTH) < 32, (HEIGHT, WIDTH)))
