"""What only shows when several data sets become one."""

import shutil

import numpy as np
import pytest
from PIL import Image
from support.planted import image, labels, make_folder, noise, rewrite

from cgrseg.classes import named
from cgrseg.config import SourceConfig
from cgrseg.data.doctor.source_rules import check_sources

CLASSES = named(("grass", "road", "sky"))
PLAIN = SourceConfig()


@pytest.fixture
def folders(tmp_path):
    """Two data sets of the same classes, without fault and without a common image."""
    one, two = make_folder(tmp_path / "one"), make_folder(tmp_path / "two")
    for split, start in (("train", 500), ("val", 600)):
        for index, file in enumerate(sorted((two / "images" / split).iterdir())):
            Image.fromarray(noise(start + index)).save(file)
    return {"one": one, "two": two}


def found(folders, sources=None, classes=CLASSES):
    """The codes of the findings about all sources together, with what they are about."""
    report = check_sources(sources or dict.fromkeys(folders, PLAIN), classes, folders)
    return {finding.code: finding.files for finding in report.findings}


def copied(folders, split):
    """The first training image of one as an image of two, with its labels."""
    shutil.copy(image(folders["one"]), image(folders["two"], 1, split))
    shutil.copy(labels(folders["one"]), labels(folders["two"], 1, split))


def test_sources_without_fault_have_no_findings_and_each_is_reported(folders):
    report = check_sources(dict.fromkeys(folders, PLAIN), CLASSES, folders)

    assert report.findings == ()
    assert [part.images for part in report.sources.values()] == [{"train": 6, "val": 3}] * 2
    assert report.classes[1].images == {"one": 6, "two": 6}
    assert report.count("error") == 0


def test_an_image_that_one_teaches_and_another_scores_is_a_leak(folders):
    copied(folders, "val")

    assert found(folders)["leak"] == ("one/p0 ~ two/p1",)


def test_an_image_in_two_sources_counts_double(folders):
    copied(folders, "train")

    assert found(folders) == {"twice": ("one/p0 ~ two/p1",)}


def test_labels_that_exclude_each_other_are_a_contradiction(folders):
    copied(folders, "train")
    rewrite([labels(folders["two"], 1)], lambda values: np.where(values < 3, (values + 1) % 3, values).astype(np.uint8))

    assert found(folders)["contradiction"] == ("one/p0 ~ two/p1",)


def test_labels_that_allow_the_other_class_are_no_contradiction(folders):
    copied(folders, "train")
    rewrite([labels(folders["two"], 1)], lambda values: np.where(values == 0, 1, values).astype(np.uint8))
    open_minded = SourceConfig(classes={"road": ("grass", "road")})

    assert "contradiction" in found(folders)
    assert "contradiction" not in found(folders, {"one": PLAIN, "two": open_minded})


def test_a_common_class_that_no_source_teaches_alone_is_an_error(folders):
    sources = dict.fromkeys(folders, SourceConfig(classes={"grass": ("grass", "moss")}))

    codes = found(folders, sources, named(("grass", "road", "sky", "moss")))

    assert codes["untaught"] == ("grass", "moss")
