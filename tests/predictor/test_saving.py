"""Results as files: formats, what is kept of earlier runs, and what is never replaced."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image as Pillow
from support.colour_engine import ColourEngine, colour_info, flag

from cgrseg.classes import named
from cgrseg.data.datasets import open_dataset
from cgrseg.data.masks import decode_rle
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.predictor import ResultWriter, Segmenter
from cgrseg.predictor.saving import FORMATS

SIZE = (40, 64)


@pytest.fixture
def segmenter():
    return Segmenter(ColourEngine(), colour_info(), weights="colours")


@pytest.fixture
def photos(tmp_path):
    """Three images that differ in where the border is, one of them in a folder below."""
    for index, name in enumerate(("a.png", "b c.jpg", "more/d.png")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = flag(*SIZE)
        image[:, : 8 * index] = image[:, -1:]
        Pillow.fromarray(image).save(path, quality=100, subsampling=0)
    return tmp_path / "photos"


def save_all(segmenter, photos, out, formats):
    results = list(segmenter.stream(photos))
    with ResultWriter(out, formats, segmenter.classes) as writer:
        paths = [writer.save(result) for result in results]
    return {result.name: result.labels for result in results}, paths


def below(folder):
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    ("formats", "files"),
    [
        (["png"], ["a.json", "a.png"]),
        (["json"], ["a.json"]),
        (["npz", "rle"], ["a.json", "a.npz", "a_rle.json"]),
        (["labelme"], ["labelme/a.json"]),
        (["coco"], ["coco.json"]),
        (["cvat"], ["cvat.zip"]),
        (
            FORMATS,
            ["a.json", "a.npz", "a.png", "a_overlay.jpg", "a_rle.json", "coco.json", "cvat.zip", "labelme/a.json"],
        ),
    ],
)
def test_each_format_has_its_files_and_may_be_written_again(segmenter, photos, tmp_path, formats, files):
    for _ in range(2):
        path = segmenter(photos / "a.png").save(tmp_path / "out", formats)

        assert below(tmp_path / "out") == files
        assert path.is_file()


def test_arrays_and_runs_hold_the_labels(segmenter, photos, tmp_path):
    result = segmenter(photos / "a.png")
    result.save(tmp_path, ["npz", "rle"])

    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(arrays["labels"], result.labels)
        assert np.array_equal(arrays["confidence"], result.confidence)
    for row in json.loads((tmp_path / "a_rle.json").read_text())["classes"]:
        assert np.array_equal(decode_rle(row["mask"]["counts"], SIZE), result.labels == row["label"])


def test_labelme_finds_the_image_from_its_file(segmenter, photos, tmp_path):
    labels, _ = save_all(segmenter, photos, tmp_path / "out", ["labelme"])

    for name, file in (("a", "a.png"), ("b c", "b c.jpg"), ("more/d", "more/d.png")):
        saved = tmp_path / f"out/labelme/{name}.json"
        tree = json.loads(saved.read_text())
        assert (saved.parent / tree["imagePath"]).resolve() == (photos / file).resolve()
        assert (tree["imageHeight"], tree["imageWidth"], tree["imageData"]) == (*SIZE, None)
    (tmp_path / "out/labelme/more").rename(tmp_path / "annotations")
    (photos / "more").rename(tmp_path / "images")
    (tmp_path / "classes.txt").write_text("\n".join(segmenter.classes.names))
    assert np.array_equal(open_dataset("folder", tmp_path, "train").labels(0), labels["more/d"])


def test_an_image_of_no_file_is_inside_of_its_labelme_file(segmenter, tmp_path):
    segmenter(flag(8, 8)).save(tmp_path, ["labelme"])

    tree = json.loads((tmp_path / "labelme/picture.json").read_text())

    assert tree["imagePath"] == "picture.png"
    assert tree["imageData"].startswith("iVBOR")


def test_one_coco_file_holds_all_images(segmenter, photos, tmp_path):
    labels, paths = save_all(segmenter, photos, tmp_path / "out", ["coco"])
    (tmp_path / "out/coco.json").rename(tmp_path / "coco.json")
    photos.rename(tmp_path / "images")

    dataset = open_dataset("folder", tmp_path, "train")

    assert set(paths) == {tmp_path / "out/coco.json"}
    assert dataset.classes.names == segmenter.classes.names
    for index, name in enumerate(("a", "b c", "more/d")):
        assert np.array_equal(dataset.labels(index), labels[name])


def test_the_archive_of_cvat_is_read_again_once_images_are_beside_it(segmenter, photos, tmp_path):
    labels, _ = save_all(segmenter, photos, tmp_path / "out", ["cvat"])
    with zipfile.ZipFile(tmp_path / "out/cvat.zip") as archive:
        assert archive.read("ImageSets/Segmentation/default.txt").decode() == 'a\n"b c"\nmore/d\n'
        archive.extractall(tmp_path / "export")
    photos.rename(tmp_path / "export/JPEGImages")

    dataset = open_dataset("folder", tmp_path / "export", "train")

    assert dataset.classes.names == ("background", *segmenter.classes.names)
    for index, name in enumerate(("a", "b c", "more/d")):
        assert np.array_equal(dataset.labels(index), labels[name] + 1)


def test_results_of_earlier_runs_stay_in_the_files_of_all_images(segmenter, photos, tmp_path):
    for name in ("a.png", "b c.jpg", "a.png"):
        segmenter(photos / name).save(tmp_path, ["coco", "cvat"])

    tree = json.loads((tmp_path / "coco.json").read_text())

    assert [image["file_name"] for image in tree["images"]] == ["a.png", "b c.jpg"]
    assert [entry["id"] for entry in tree["annotations"]] == list(range(1, len(tree["annotations"]) + 1))
    with zipfile.ZipFile(tmp_path / "cvat.zip") as archive:
        assert sorted(archive.namelist())[1:3] == ["SegmentationClass/a.png", "SegmentationClass/b c.png"]
        assert len(archive.namelist()) == len(set(archive.namelist())) == 4


@pytest.mark.parametrize(
    ("name", "format_"), [("coco.json", "coco"), ("cvat.zip", "cvat"), ("labelme/a.json", "labelme")]
)
@pytest.mark.parametrize("content", ["{}", '{"shapes": [], "annotations": []}', "not a zip"])
def test_a_file_that_is_no_result_is_kept(segmenter, photos, tmp_path, name, format_, content):
    (tmp_path / "out/labelme").mkdir(parents=True)
    (tmp_path / "out" / name).write_text(content)

    with pytest.raises(ImageError, match=f"{name} exists, and is not the result of an earlier prediction"):
        segmenter(photos / "a.png").save(tmp_path / "out", ["png", format_])

    assert below(tmp_path / "out") == [name]
    assert (tmp_path / "out" / name).read_text() == content


def test_a_file_of_ones_own_beside_results_is_kept(segmenter, photos, tmp_path):
    segmenter(photos / "a.png").save(tmp_path, ["png"])
    (tmp_path / "a.npz").write_text("mine")

    with pytest.raises(ImageError, match=r"a\.npz exists, and is not the result"):
        segmenter(photos / "a.png").save(tmp_path, ["npz"])


@pytest.mark.parametrize(("name", "key"), [("labelme/a.json", "shapes"), ("coco.json", "annotations")])
def test_corrected_labels_are_never_replaced(segmenter, photos, tmp_path, name, key):
    formats = ["labelme", "coco"]
    segmenter(photos / "a.png").save(tmp_path, formats)
    tree = json.loads((tmp_path / name).read_text())
    opened = [entry | {"description": "", "mask": None} for entry in tree[key]]
    (tmp_path / name).write_text(json.dumps(tree | {key: opened}, indent=2))  # opened and saved, but not changed
    segmenter(photos / "a.png").save(tmp_path, formats)
    (tmp_path / name).write_text(json.dumps(tree | {key: opened[1:]}))

    with pytest.raises(ImageError, match=f"{name} was corrected after it was predicted; move it to your labels"):
        segmenter(photos / "a.png").save(tmp_path, formats)
    assert len(json.loads((tmp_path / name).read_text())[key]) == len(opened) - 1


@pytest.mark.parametrize("format_", ["coco", "cvat"])
def test_results_with_other_classes_are_not_mixed(segmenter, photos, tmp_path, format_):
    segmenter(photos / "a.png").save(tmp_path, [format_])

    with pytest.raises(ImageError, match="holds results of weights with other classes"):
        ResultWriter(tmp_path, [format_], named(("one", "two")))


@pytest.mark.parametrize("formats", [["png", "pgn"], []])
def test_a_format_that_does_not_exist_is_one_sentence(segmenter, photos, tmp_path, formats):
    with pytest.raises(CGRSegError, match="the formats are png, overlay, json, npz, rle, labelme, coco, cvat"):
        segmenter(photos / "a.png").save(tmp_path / "out", formats)
    assert not (tmp_path / "out").exists()
