"""Fixes that can be pasted: none of them overwrites or deletes a file."""

import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.faults import FAULTS
from support.planted import HEIGHT, WIDTH, image, labels, make_folder, rewrite, saved_as, write_classes

from cgrseg.data.datasets import open_dataset
from cgrseg.data.doctor import Finding, check_dataset
from cgrseg.data.doctor.findings import set_aside
from cgrseg.errors import ImageError


@pytest.fixture
def root(tmp_path):
    return make_folder(tmp_path / "mine")


def found(root, code) -> Finding:
    findings = [finding for finding in check_dataset("folder", root).findings if finding.code == code]
    assert findings, check_dataset("folder", root).findings
    return findings[0]


def contents(root) -> set[bytes]:
    return {file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fix_removes_or_saves_in_place(root, fault):
    plant, code, _, _ = FAULTS[fault]
    plant(root)

    fix = found(root, code).fix

    assert "rm " not in fix
    assert ".save(f)" not in fix
    assert "mv -n " in fix or "mv " not in fix
    assert "exiftool" not in fix or " -o " in fix


@pytest.mark.parametrize("fault", ["image empty", "no label", "no image", "same stem", "in two splits", "twice"])
def test_taking_files_out_keeps_them(root, fault):
    plant, code, _, _ = FAULTS[fault]
    plant(root)
    before, fix = contents(root), found(root, code).fix
    command = fix[fix.index("mkdir -p") :]

    for _ in range(2):
        subprocess.run(["bash", "-c", command], check=False, capture_output=True)

    assert contents(root) == before
    assert check_dataset("folder", root).findings == ()


def test_files_of_one_name_stay_apart_when_they_are_taken_out(root):
    subprocess.run(["bash", "-c", set_aside([image(root), labels(root), image(root, 0, "val")], root)], check=True)

    moved = sorted(str(file.relative_to(root)) for file in (root / "aside").rglob("*.png"))
    assert moved == [f"aside/{name}/p0.png" for name in ("annotations/train", "images/train", "images/val")]


def cut_out(root, *, is_photo: bool) -> np.ndarray:
    """The first label file as a cut-out of its image, or of black, and its shape."""
    shape = np.zeros((HEIGHT, WIDTH), np.uint8)
    shape[10:30, 20:50] = 255
    shown = np.array(Image.open(image(root)).resize((WIDTH, HEIGHT))) if is_photo else np.zeros((HEIGHT, WIDTH, 3))
    Image.fromarray(np.dstack([shown.astype(np.uint8), shape])).save(labels(root))
    write_classes(root, "rest\nroad\n")
    return shape


@pytest.mark.parametrize("is_photo", [True, False])
def test_a_cut_out_becomes_a_mask_in_a_new_file(root, is_photo):
    shape = cut_out(root, is_photo=is_photo)
    before = labels(root).read_bytes()

    fix = found(root, "label-cutout").fix
    command = fix[fix.index("python -c") : fix.index("   # copies")].replace("python", sys.executable, 1)
    subprocess.run(["bash", "-c", command], check=True)

    assert labels(root).read_bytes() == before
    assert np.array_equal(np.array(Image.open(root / "fixed/annotations/train/p0.png")), shape)
    assert '{"classes": ["rest", "road"], "values": [0, 255], "ignore": []}' in fix


def test_numbers_with_transparent_parts_are_left_to_their_user(root):
    rewrite([labels(root)], lambda values: np.dstack([values, np.where(values == 1, 0, 255).astype(np.uint8)]))

    fix = found(root, "label-alpha").fix

    assert "python" not in fix
    assert "nobody but you knows" in fix


@pytest.mark.parametrize(("kind", "suffix"), [("TIFF", ".tif"), ("TIFF", ".TIFF"), ("BMP", ".bmp"), ("PNG", ".PNG")])
def test_label_maps_in_other_formats_without_loss_are_read(root, kind, suffix):
    expected = open_dataset("folder", root, "train").labels(0)
    saved_as(labels(root), kind, suffix)

    assert np.array_equal(open_dataset("folder", root, "train").labels(0), expected)
    assert check_dataset("folder", root).findings == ()


@pytest.mark.parametrize("kind", ["TIFF", "BMP"])
def test_colours_are_read_in_other_formats_too(root, kind):
    FAULTS["label in colours"][0](root)
    (root / "classes.txt").unlink()
    palette = [[0, 128, 0], [128, 64, 128], [70, 130, 180]]
    tree = {"classes": ["grass", "road", "sky"], "palette": palette, "ignore": [[0, 0, 0]]}
    (root / "meta.json").write_text(json.dumps(tree))
    expected = open_dataset("folder", root, "train").labels(0)
    saved_as(labels(root), kind, f".{kind.lower()[:4]}")

    assert np.array_equal(open_dataset("folder", root, "train").labels(0), expected)


def test_a_tiff_compressed_as_jpeg_is_refused(root):
    with Image.open(labels(root)) as opened:
        opened.save(labels(root).with_suffix(".tif"), compression="jpeg")
    labels(root).unlink()

    with pytest.raises(ImageError, match="is a JPEG, which changes the numbers"):
        open_dataset("folder", root, "train").labels(0)


@pytest.mark.parametrize("form", ["case", "accents"])
def test_names_that_differ_in_case_or_unicode_form_are_equal(root, form):
    expected = open_dataset("folder", root, "train").labels(0)
    name, other = ("P0", "p0") if form == "case" else (unicodedata.normalize(f, "p\u00e9") for f in ("NFC", "NFD"))
    image(root).rename(image(root).with_name(f"{name}.png"))
    labels(root).rename(labels(root).with_name(f"{other}.png"))

    dataset = open_dataset("folder", root, "train")
    index = [pair.image.stem for pair in dataset.pairs].index(name)

    assert np.array_equal(dataset.labels(index), expected)
    assert check_dataset("folder", root).findings == ()


def test_names_that_differ_in_case_only_stay_two_images(root):
    for file in (image(root), labels(root)):
        shutil.copy(file, file.with_name("P0.png"))

    assert [pair.name for pair in open_dataset("folder", root, "train").pairs][:2] == ["P0", "p0"]


def test_labels_in_a_format_that_is_not_read_are_not_called_missing(root):
    np.save(labels(root).with_suffix(".npy"), np.array(Image.open(labels(root))))
    labels(root).unlink()

    assert [finding.code for finding in check_dataset("folder", root).findings] == ["label-format"]


def test_images_in_a_format_that_is_not_read_are_named(root):
    image(root).rename(image(root).with_suffix(".heic"))

    assert "p0.heic" in found(root, "no-picture").fix


def test_shapes_of_another_size_are_not_resized_as_an_image(root):
    labels(root).unlink()
    tree = {"imageHeight": HEIGHT // 2, "imageWidth": WIDTH // 2, "shapes": []}
    labels(root).with_suffix(".json").write_text(json.dumps(tree))

    fix = found(root, "size").fix

    assert "python" not in fix
    assert Path(labels(root).with_suffix(".json")).is_file()
