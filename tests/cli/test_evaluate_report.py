import json

import pytest


@pytest.mark.slow
def test_a_report_is_written_with_its_numbers_beside_it(run, weights, labelled, tmp_path):
    page = tmp_path / "made" / "out.html"
    files = ("--json", tmp_path / "scores.json", "--fit-temperature", tmp_path / "made/calibrated.safetensors")
    arguments = ("--report", page, *files, "--threads", "1")

    result = run("evaluate", weights, "--data", f"folder={labelled}", *arguments)

    report = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert result.code == 0, result.err
    assert page.with_suffix(".json").read_text() == (tmp_path / "scores.json").read_text()
    assert {"boundary", "calibration", "calibrated"} <= set(report)
    assert report["calibrated"]["file"].endswith("calibrated.safetensors")
    assert page.with_suffix(".csv").read_text().startswith("name,iou,boundary_iou,")
    assert "--threads 1" in page.read_text(encoding="utf-8")
    assert sorted(file.suffix for file in page.parent.iterdir()) == [".csv", ".html", ".json", ".safetensors"]


def test_a_report_that_is_no_page_is_refused_before_anything_is_loaded(run, labelled, tmp_path):
    result = run("evaluate", "no-such-weights", "--data", f"folder={labelled}", "--report", tmp_path / "out.pdf")

    assert result.code == 1
    assert "a report is a web page; give it a name that ends in .html" in result.err
