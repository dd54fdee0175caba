import csv
import json
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from support.reported import NAMES, STRANGE, content_of, draw

from cgrseg.data.datasets import LabelledImages, open_dataset
from cgrseg.errors import CGRSegError
from cgrseg.evaluation import evaluate, results
from cgrseg.metrics.bootstrap import Areas, Resampled, resample
from cgrseg.report import report_tree, require_page, write_report


class Links(HTMLParser):
    """What a page refers to, and its text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for key, value in attributes if key in {"src", "href", "action", "data", "srcset"}]


def test_the_page_is_one_file_that_loads_nothing(report):
    text = report.read_text(encoding="utf-8")

    page = Links(text)

    assert set(page.links) <= {"#main", "data:,"}
    assert page.tags.count("script") == 2
    assert page.tags.count("style") == 1
    addresses = set(re.findall(r"https?://[^\s\"')]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    assert not re.search(r"@import|url\(|\bfetch\(|XMLHttpRequest|\{\{", text)
    assert "default-src 'none'" in text


def test_all_numbers_of_the_evaluation_are_in_the_page_and_beside_it(report, scene):
    expected = json.loads(json.dumps({"weights": scene.segmenter.weights} | scene.evaluation.as_tree()))

    content = content_of(report)

    assert content["report"] == expected
    assert content["matrix"] == scene.evaluation.matrix.tolist()
    assert json.loads(report.with_suffix(".json").read_text(encoding="utf-8")) == expected


def test_names_from_the_data_cannot_end_the_script_they_stand_in(report):
    text = report.read_text(encoding="utf-8")

    content = content_of(report)

    assert [row["name"] for row in content["classes"]] == list(STRANGE.names)
    assert list(content["report"]["picture_mious"]) == sorted(NAMES)
    assert not [name for name in STRANGE.names[:2] if name in text]
    assert "<title>&lt;b&gt;odd on your data val</title>" in text


def test_conditions_are_listed(report):
    conditions = content_of(report)["conditions"]

    assert conditions["command"] == "cgrseg evaluate '<&>'"
    assert conditions["engine"] == "colour"
    assert conditions["seconds_a_picture"] > 0
    assert {"python", "cgrseg", "torch", "numpy"} <= set(conditions["machine"]["versions"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", conditions["date"])


def test_the_table_beside_the_page_has_a_row_for_each_class(report, scene):
    with report.with_suffix(".csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    red, green, blue = rows
    assert [row["name"] for row in rows] == list(STRANGE.names)
    assert float(red["iou"]) == scene.evaluation.scores.iou[0] == 0.5
    assert (float(red["recall"]), float(red["precision"]), float(red["share"])) == (0.5, 1, 1)
    assert (red["pixels"], red["pictures"], blue["pictures"]) == (str(5 * 40 * 64), "5", "0")
    assert float(red["boundary_iou"]) == scene.evaluation.boundary.iou[0]
    assert (green["iou"], green["recall"], green["precision"]) == ("", "", "")
    assert (blue["recall"], float(blue["precision"])) == ("", 0)


def test_a_rival_adds_the_comparison_and_what_each_class_gains(write, scene, tmp_path):
    page = write(tmp_path / "both.html", against=("other", scene.evaluation))

    content = content_of(page)
    expected = json.loads(
        json.dumps(report_tree(scene.segmenter.weights, scene.evaluation, ("other", scene.evaluation)))
    )
    assert content["report"] == expected
    assert content["report"]["against"]["weights"] == "other"
    assert content["report"]["comparison"]["equal"] == 5
    assert [row["gain"] for row in content["classes"]] == [0, None, 0]


def test_what_was_not_measured_is_left_out(scene, tmp_path):
    plain = evaluate(scene.segmenter, scene.dataset)

    content = content_of(write_report(tmp_path / "plain.html", plain, scene.segmenter, scene.dataset))

    assert not {"boundary", "calibration"} & set(content["report"])
    assert content["history"] is None


@pytest.fixture
def many(tmp_path) -> LabelledImages:
    """A data set of fourteen images."""
    for part in ("images", "annotations"):
        (tmp_path / "many" / part / "val").mkdir(parents=True)
    for index in range(14):
        draw(tmp_path / "many", f"{index:02}", index / 16)
    (tmp_path / "many" / "classes.txt").write_text("\n".join(STRANGE.names), encoding="utf-8")
    return open_dataset("folder", tmp_path / "many", "val")


def test_label_maps_are_decoded_once_but_for_the_images_shown(scene, many, tmp_path, monkeypatch):
    decoded, read = Counter(), LabelledImages.labels

    def count(dataset: LabelledImages, index: int) -> np.ndarray:
        decoded[many.pairs[index].name] += 1
        return read(dataset, index)

    monkeypatch.setattr(LabelledImages, "labels", count)

    page = write_report(tmp_path / "many.html", evaluate(scene.segmenter, many), scene.segmenter, many)

    content = content_of(page)
    shown = {image["name"] for image in content["pictures"]}
    assert decoded == {pair.name: 1 + (pair.name in shown) for pair in many.pairs}
    assert len(shown) == 12
    assert [row["pictures"] for row in content["classes"]] == [14, 0, 0]


def test_the_bootstrap_is_drawn_once_for_each_model(scene, many, tmp_path, monkeypatch):
    drawn = []

    def count(areas: Areas) -> Resampled:
        drawn.append(areas)
        return resample(areas)

    monkeypatch.setattr(results, "resample", count)
    ours, theirs = (evaluate(scene.segmenter, many) for _ in range(2))

    report_tree("ours", ours, ("theirs", theirs))
    write_report(tmp_path / "many.html", ours, scene.segmenter, many, against=("theirs", theirs))

    assert drawn == [ours.areas, theirs.areas]


@pytest.mark.parametrize("name", ["report", "report.htm l", "report.json", "report.pdf"])
def test_a_page_that_is_not_called_one_is_refused(tmp_path, name):
    with pytest.raises(CGRSegError, match=r"a report is a web page; give it a name that ends in \.html"):
        require_page(tmp_path / name)


def test_a_path_that_cannot_be_written_is_refused_and_a_folder_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "table.csv").mkdir()

    with pytest.raises(CGRSegError, match="cannot write there"):
        require_page(tmp_path / "file" / "report.html")
    with pytest.raises(CGRSegError, match=r"folder\.html is a folder where a file of the report would go"):
        require_page(tmp_path / "folder.html")
    with pytest.raises(CGRSegError, match=r"table\.csv is a folder"):
        require_page(tmp_path / "table.html")
    require_page(tmp_path / "a" / "b" / "report.HTML")

    assert (tmp_path / "a" / "b").is_dir()
    assert not list((tmp_path / "a" / "b").iterdir())
