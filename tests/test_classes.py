"""The published class tables: complete, of one form, and right where an independent source is at hand."""

import json
from typing import get_args

import pytest

from cgrseg.classes import published, read_published
from cgrseg.config import Kind
from cgrseg.errors import DatasetError

KINDS = [kind for kind in get_args(Kind) if kind != "folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_is_complete_and_of_one_mind(kind):
    known = read_published(kind)

    names, colours = known.classes.names, known.classes.colours
    assert len(names) == len(set(names)) == len(set(known.raw)) == len(colours)
    assert all(name == name.strip() and name for name in names)
    assert all(len(colour) == 3 and all(part in range(256) for part in colour) for colour in colours)
    assert not set(known.raw) & set(known.ignored)
    assert {"train", "val"} <= set(known.splits)
    assert all((known.name, known.terms, known.home.startswith("http"), known.files))


@pytest.mark.parametrize(
    ("kind", "classes", "train", "val"),
    [
        ("camvid", 11, 367, 101),
        ("ade20k", 150, 20_210, 2_000),
        ("cocostuff10k", 171, 9_000, 1_000),
        ("cocostuff164k", 171, 118_287, 5_000),
        ("pascalcontext59", 59, 4_998, 5_105),
        ("pascalcontext60", 60, 4_998, 5_105),
        ("cityscapes", 19, 2_975, 500),
        ("voc2012", 21, 1_464, 1_449),
    ],
)
def test_the_official_numbers_are_these(kind, classes, train, val):
    known = read_published(kind)

    assert (len(known.classes), known.splits["train"], known.splits["val"]) == (classes, train, val)


def test_the_two_releases_of_coco_stuff_differ_by_one_in_every_value():
    small, large = read_published("cocostuff10k"), read_published("cocostuff164k")

    assert small.classes == large.classes
    assert [value - 1 for value in small.raw] == list(large.raw)


def test_the_background_is_all_that_the_two_protocols_of_pascal_context_differ_by():
    without, with_it = read_published("pascalcontext59"), read_published("pascalcontext60")

    assert with_it.classes.names == ("background", *without.classes.names)
    assert with_it.classes.colours[1:] == without.classes.colours
    assert (with_it.raw, without.raw) == (tuple(range(60)), tuple(range(1, 60)))
    assert (with_it.ignored, without.ignored) == ((), (0,))


def test_the_classes_of_pascal_context_are_in_order_of_the_alphabet():
    names = published("pascalcontext59").names

    assert list(names) == sorted(names)


def test_the_colours_of_voc_interleave_the_bits_of_the_label():
    def spread(label: int, channel: int) -> int:
        return sum(((label >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(8))

    colours = published("voc2012").colours

    assert colours == tuple(tuple(spread(label, channel) for channel in range(3)) for label in range(21))


def test_cityscapes_scores_19_of_its_34_values():
    known = read_published("cityscapes")

    assert known.raw == (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    assert sorted({*known.raw, *known.ignored}) == [*range(34), 255]
    assert [known.classes.names[label] for label in (0, 10, 13, 18)] == ["road", "sky", "car", "bicycle"]


def test_the_names_of_ade20k_are_among_the_official_synonyms(shared_data):
    lines = (shared_data / "ADEChallengeData2016/objectInfo150.txt").read_text().splitlines()[1:]
    synonyms = {int(line.split("\t")[0]): [name.strip() for name in line.split("\t")[4].split(",")] for line in lines}

    known = read_published("ade20k")

    assert len(synonyms) == 150
    assert all(name in synonyms[value] for name, value in zip(known.classes.names, known.raw, strict=True))


@pytest.mark.parametrize(("kind", "sample"), [("ade20k", "ADEChallengeData2016"), ("cocostuff164k", "coco_stuff164k")])
def test_names_and_colours_are_those_of_the_samples(shared_data, kind, sample):
    meta = json.loads((shared_data / sample / "meta.json").read_text())

    assert list(published(kind).names) == meta["classes"]
    assert [list(colour) for colour in published(kind).colours] == meta["palette"]


def test_an_unknown_table_lists_the_published_ones():
    with pytest.raises(DatasetError, match="no class table 'mapillary'; the published ones are ade20k, camvid, city"):
        published("mapillary")
