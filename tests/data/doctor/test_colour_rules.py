"""Label files in colours: what a check can say about them, and what only their user can."""

import json

import numpy as np
import pytest
from support.planted import COLOURS, NAMES, all_labels, in_colours, make_folder, rewrite, write_classes

from cgrseg.data.datasets import open_dataset
from cgrseg.data.doctor import Finding, check_dataset
from cgrseg.errors import DatasetError


@pytest.fixture
def root(tmp_path):
    """Label maps in colours, sky the largest, without a word on what the colours mean."""
    folder = make_folder(tmp_path / "mine")
    rewrite(all_labels(folder), lambda values: np.where(np.arange(48)[:, None] < 24, 2, values).astype(np.uint8))
    in_colours(folder)
    (folder / "meta.json").unlink()
    write_classes(folder, "\n".join(NAMES))
    return folder


def coloured(root) -> Finding:
    return next(finding for finding in check_dataset("folder", root).findings if finding.code == "label-colours")


def test_colours_come_with_their_shares_and_wait_for_their_names(root):
    fix = coloured(root).fix

    assert fix.startswith("which of grass, road, sky is each colour?")
    assert fix.index("[70, 130, 180] 6") < fix.index("[128, 64, 128] 1")
    assert '"classes": [<name of [70, 130, 180]>, ' in fix


def test_the_line_for_coloured_maps_cannot_be_pasted_as_it_is(root):
    line = coloured(root).fix
    (root / "classes.txt").unlink()
    (root / "meta.json").write_text(line[line.index("{") : line.rindex("}") + 1])

    with pytest.raises(DatasetError, match=r"meta\.json is not JSON"):
        open_dataset("folder", root, "train")


def test_the_line_with_names_filled_in_reads_each_colour_as_its_class(root):
    line = coloured(root).fix
    line = line[line.index("{") : line.rindex("}") + 1]
    for name, colour in zip(NAMES, COLOURS.tolist(), strict=True):
        line = line.replace(f"<name of {colour}>", json.dumps(name))
    tree = line.replace(", <name of [0, 0, 0]>", "").replace(", [0, 0, 0]]", "]").replace("[]", "[[0, 0, 0]]")
    (root / "classes.txt").unlink()
    (root / "meta.json").write_text(tree)

    dataset = open_dataset("folder", root, "train")

    assert dataset.classes.names[int(dataset.labels(0)[0, 0])] == "sky"
    assert check_dataset("folder", root).findings == ()
