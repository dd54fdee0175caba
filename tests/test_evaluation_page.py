"""docs/evaluation.md says what the code does."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from cgrseg.cli import commands
from cgrseg.evaluation import Comparison
from cgrseg.metrics.bootstrap import DRAWS, LEVEL
from cgrseg.metrics.calibration import BINS, Reliability

PAGE = (Path(__file__).parents[1] / "docs/evaluation.md").read_text(encoding="utf-8")
KEYS = set(re.findall(r"`([a-z_]+)`", PAGE))


@pytest.mark.parametrize("line", re.findall(r"^cgrseg .*$", PAGE, re.MULTILINE))
def test_each_command_is_accepted(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "path/to/CamVid").mkdir(parents=True)
    verb, *arguments = shlex.split(line)[1:]

    context = commands.commands[verb].make_context(verb, arguments)

    assert context.params["data"].kind == "camvid"


def test_each_difference_and_each_column_of_the_reliability_table_is_explained():
    empty = Reliability(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS)).as_tree()

    comparison = Comparison(
        miou=0.0, miou_interval=None, image_miou=None, image_miou_interval=None, better=0, worse=0, equal=0
    )
    assert set(comparison.as_tree()) <= KEYS
    assert set(empty) | set(empty["bins"][0]) <= KEYS


def test_numbers_are_those_of_the_code():
    assert f"{BINS} `bins`" in PAGE
    assert f"{DRAWS} times" in PAGE
    assert f"{100 * LEVEL:g} % interval" in PAGE
