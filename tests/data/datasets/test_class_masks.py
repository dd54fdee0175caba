"""A mask for each class and image: folders, endings, and what Label Studio's brush writes."""

import json

import numpy as np
import pytest
from PIL import Image
from support.planted import HEIGHT, WIDTH, noise

from cgrseg.data.datasets import open_dataset
from cgrseg.data.doctor import check_dataset
from cgrseg.errors import DatasetError

NAMES = ("car", "road", "sky")


def numbers(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 3, (6, 8), np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def save(file, values):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def mask_of(seed, value, white=255):
    return np.where(numbers(seed) == value, np.uint8(white), np.uint8(0))


FORMS = (
    "masks/{name}/{stem}.png",
    "masks/{stem}/{name}.png",
    "masks/{stem}_{name}.png",
    "annotations/{stem}-{name}_mask.png",
    "masks/{name}/{stem}_{name}.png",
    "{name}/{stem}.png",
)


def make(root, form, count=3, white=255):
    for seed in range(count):
        save(root / f"images/p_{seed}.jpg", noise(seed))
        for value, name in enumerate(NAMES):
            save(root / form.format(name=name, stem=f"p_{seed}"), mask_of(seed, value, white))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("white", [1, 255])
def test_masks_join_to_label_maps(tmp_path, form, white):
    make(tmp_path, form, white=white)

    dataset = open_dataset("folder", tmp_path, "train")
    report = check_dataset("folder", tmp_path)

    assert dataset.classes.names == NAMES
    assert [pair.name for pair in dataset.pairs] == ["p_0", "p_1", "p_2"]
    for seed in range(3):
        assert np.array_equal(dataset.labels(seed), numbers(seed))
    assert report.layout == "a mask for each class"
    assert [finding.code for finding in report.findings] == ["mask-names", "no-val"]
    assert report.findings[0].sentence == "the classes are the names of the masks: car, road, sky"


@pytest.mark.parametrize("form", FORMS[:3])
def test_masks_may_be_in_splits(tmp_path, form):
    for split, count in (("train", 3), ("valid", 1)):
        make(tmp_path / split, form, count)
    for file in (tmp_path / "valid").rglob("*sky*"):
        if file.is_file():
            file.unlink()
    if "{name}/" in form:
        for file in (tmp_path / "valid/masks/sky").iterdir():
            file.unlink()

    dataset = open_dataset("folder", tmp_path, "val")

    assert dataset.classes.names == NAMES
    assert np.array_equal(dataset.labels(0), np.where(numbers(0) == 2, 255, numbers(0)))


def test_classes_txt_decides_names_order_and_background(tmp_path):
    make(tmp_path, FORMS[0])
    (tmp_path / "classes.txt").write_text("background\nsky\nroad\ncar\n")
    for file in (tmp_path / "masks/road").iterdir():
        file.unlink()

    dataset = open_dataset("folder", tmp_path, "train")

    assert np.array_equal(dataset.labels(0), np.array([3, 0, 1])[numbers(0)])
    assert dataset.notes == ()


def test_a_mask_of_no_class_is_named(tmp_path):
    make(tmp_path, FORMS[0])
    (tmp_path / "classes.txt").write_text("sky\nroad\ncars\n")

    with pytest.raises(DatasetError, match="masks: 'car' is not a class; did you mean 'cars'"):
        open_dataset("folder", tmp_path, "train")


def test_where_masks_overlap_the_later_class_counts_and_it_is_told(tmp_path):
    make(tmp_path, FORMS[0])
    save(tmp_path / "masks/sky/p_1.png", np.full((HEIGHT, WIDTH), 255, np.uint8))

    finding = next(found for found in check_dataset("folder", tmp_path).findings if found.code == "overlap")

    assert (open_dataset("folder", tmp_path, "train").labels(1) == 2).all()
    assert finding.files == ("images/p_1.jpg",)
    assert finding.severity == "warning"


def test_soft_edges_belong_to_the_class_from_the_middle_on(tmp_path):
    make(tmp_path, FORMS[0])
    soft = mask_of(0, 2)
    soft[0, :2] = 127, 128
    save(tmp_path / "masks/sky/p_0.png", soft)
    for name in ("car", "road"):
        clear = mask_of(0, NAMES.index(name))
        clear[0, :2] = 0
        save(tmp_path / f"masks/{name}/p_0.png", clear)

    assert open_dataset("folder", tmp_path, "train").labels(0)[0, :2].tolist() == [255, 2]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.full((HEIGHT, WIDTH), 3, np.uint8), r"holds values up to 3, where a mask of one class holds 0 and 255"),
        (np.zeros((HEIGHT, 5), np.uint8), r"is 5 x 48 pixels but its image .* is 64 x 48; export it again"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), r"holds colours \(mode RGB\)"),
    ],
)
def test_what_is_no_mask_of_its_image_is_one_sentence(tmp_path, values, sentence):
    make(tmp_path, FORMS[0])
    save(tmp_path / "masks/sky/p_1.png", values)

    with pytest.raises(Exception, match=sentence):
        open_dataset("folder", tmp_path, "train").labels(1)
    codes = {finding.code for finding in check_dataset("folder", tmp_path).findings}
    assert "shapes" in codes


@pytest.mark.parametrize("has_background", [True, False])
def test_an_image_without_masks_is_a_negative_or_left_out(tmp_path, has_background):
    make(tmp_path, FORMS[0])
    save(tmp_path / "images/p_9.jpg", noise(9))
    if has_background:
        (tmp_path / "classes.txt").write_text("background\ncar\nroad\nsky\n")

    dataset = open_dataset("folder", tmp_path, "train")
    codes = {finding.code: finding for finding in check_dataset("folder", tmp_path).findings}

    assert len(dataset) == (4 if has_background else 3)
    code = "negatives" if has_background else "no-mask"
    assert codes[code].files == ("images/p_9.jpg",)
    if has_background:
        assert not dataset.labels(3).any()


def test_masks_of_one_class_name_the_way_to_a_background(tmp_path):
    make(tmp_path, FORMS[0])
    for name in ("road", "sky"):
        for file in (tmp_path / "masks" / name).iterdir():
            file.unlink()

    finding = next(found for found in check_dataset("folder", tmp_path).findings if found.code == "one-class")
    (tmp_path / "classes.txt").write_text("background\ncar\n")

    assert "hold the lines background and car" in finding.fix
    assert check_dataset("folder", tmp_path).count("error") == 0
    assert np.array_equal(open_dataset("folder", tmp_path, "train").labels(0), numbers(0) == 0)


def brushed(root, tasks=("1", "2", "12")):
    """Masks of Label Studio; the image of task t is p<t>."""
    for task in tasks:
        save(root / f"images/p{task}.jpg", noise(int(task)))
        for value, name in enumerate(NAMES):
            whole, half = mask_of(int(task), value), np.arange(WIDTH) < 32
            for part, mask in enumerate((np.where(half, whole, 0), np.where(half, 0, whole))):
                name_of_file = f"task-{task}-annotation-7-by-me@x.org-tag-{name}-{part}.png"
                save(root / name_of_file, mask.astype(np.uint8))


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("prefix", ["", "0a1b2c3d-"])
def test_brush_masks_belong_to_the_images_of_their_tasks(tmp_path, short, prefix):
    brushed(tmp_path)
    for image in (tmp_path / "images").iterdir():
        image.rename(image.with_name(prefix + image.name))
    addresses = {task: f"/data/upload/3/0a1b2c3d-p{task}.jpg" for task in (1, 2, 12)}
    data = {task: {"image": url} for task, url in addresses.items()}
    tasks = [{"id": task, **data[task]} if short else {"id": task, "data": data[task]} for task in data]
    (tmp_path / "project-3.json").write_text(json.dumps(tasks))

    dataset = open_dataset("folder", tmp_path, "train")
    report = check_dataset("folder", tmp_path)

    assert [pair.image.name for pair in dataset.pairs] == [f"{prefix}p{task}.jpg" for task in ("1", "12", "2")]
    for index, task in enumerate((1, 12, 2)):
        assert np.array_equal(dataset.labels(index), numbers(task))
    assert report.layout == "masks of Label Studio's brush"
    assert [finding.code for finding in report.findings] == ["mask-names", "no-val"]


def test_images_may_be_called_by_the_numbers_of_their_tasks(tmp_path):
    brushed(tmp_path)
    for image in (tmp_path / "images").iterdir():
        image.rename(image.with_name(image.name[1:]))

    assert np.array_equal(open_dataset("folder", tmp_path, "train").labels(1), numbers(12))


def test_a_task_that_is_not_tied_to_an_image_is_not_guessed(tmp_path):
    brushed(tmp_path)

    finding = check_dataset("folder", tmp_path).findings[0]

    assert finding.code == "layout"
    assert "task 1 of Label Studio is not tied to an image" in finding.sentence
    assert "JSON export" in finding.fix


def test_of_two_annotations_of_a_task_the_later_is_read_and_it_is_told(tmp_path):
    brushed(tmp_path, tasks=("1",))
    (tmp_path / "images/p1.jpg").rename(tmp_path / "images/1.jpg")
    save(tmp_path / "task-1-annotation-11-by-2-tag-car-0.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    (tmp_path / "classes.txt").write_text("car\nroad\nsky\n")

    dataset = open_dataset("folder", tmp_path, "train")

    assert not dataset.labels(0).any()
    assert "task 1 has the annotations 11, 7, of which only 11 is read" in dataset.notes[0].sentence
