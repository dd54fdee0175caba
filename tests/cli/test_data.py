import json
from typing import get_args

import pytest

from cgrseg.config import Kind


def test_every_kind_is_listed_within_100_columns(run):
    result = run("data", "list")

    lines = result.out.splitlines()
    assert result.code == 0
    assert {kind for kind in get_args(Kind) if any(line.split()[:1] == [kind] for line in lines)} == set(get_args(Kind))
    assert any(line.split()[:4] == ["ade20k", "150", "20,210", "2,000"] for line in lines)
    assert "http://sceneparsing.csail.mit.edu" in result.out
    assert max(len(line.rstrip()) for line in lines) <= 100


def test_a_kind_is_listed_with_its_classes_values_and_colours(run):
    lines = [line.split() for line in run("data", "list", "cityscapes").out.splitlines()]

    assert ["0", "7", "128", "64", "128", "road"] in lines
    assert ["18", "33", "119", "11", "32", "bicycle"] in lines
    assert ["pictures", "train", "2,975,", "val", "500"] in lines
    assert len([line for line in lines if line and line[0].isdigit()]) == 19


def test_addresses_are_never_broken(run):
    assert "/cocostuffdataset/stuffthingmaps_trainval2017.zip\n" in run("data", "list", "cocostuff164k").out


def test_the_list_is_written_as_json(run, tmp_path):
    run("data", "list", "--json", tmp_path / "kinds.json")
    run("data", "list", "camvid", "--json", tmp_path / "camvid.json")

    kinds = json.loads((tmp_path / "kinds.json").read_text())["kinds"]
    camvid = json.loads((tmp_path / "camvid.json").read_text())
    assert [kind["kind"] for kind in kinds] == [kind for kind in get_args(Kind) if kind != "folder"]
    assert camvid == kinds[0]
    assert camvid["classes"][3] == {"name": "road", "colour": [128, 64, 128], "raw": 3}
    assert (camvid["ignore"], camvid["splits"]["test"]) == ([11], 233)


def test_an_unknown_kind_lists_the_known_ones(run):
    result = run("data", "list", "mapillary")

    assert result.code == 2
    assert "'mapillary' is not one of 'camvid', 'ade20k'" in result.err


@pytest.mark.parametrize("command", [[], ["list"]])
def test_every_help_has_an_example(run, command):
    assert "Example:\n    cgrseg data list" in run("data", *command, "--help").out
