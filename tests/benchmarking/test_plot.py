"""The plot shows each entry at its measured time, and refuses entries without a published accuracy."""

import sys
from copy import deepcopy

import pytest

from cgrseg.benchmarking.plot import COLOURS, PUBLISHED, SIDES, conditions, draw_time, drawable, plot_report, runtime_of
from cgrseg.errors import CGRSegError, MissingExtra


def row(name: str, design: str, ms: float, engine: str = "torch", classes: int = 150) -> dict:
    total = {"median_ms": ms, "low_ms": ms - 1, "high_ms": ms + 2, "fastest_ms": ms - 2}
    return {"name": name, "design": design, "engine": engine, "classes": classes, "total": total}


@pytest.fixture
def report():
    return {
        "date": "2026-11-23T12:00:00+00:00",
        "machine": {"processor": "Some CPU", "versions": {"torch": "2.13.0"}},
        "picture": {"name": "street.jpg", "height": 512, "width": 683},
        "settings": {"threads": 1, "repeats": 20},
        "contenders": [
            row("cgrseg-t", "CGRSeg-T", 100.0),
            row("cgrseg-t", "CGRSeg-T", 60.0, engine="openvino"),
            row("plain", "CGRSeg-T", 400.0),
            row("mine.safetensors", "CGRSeg-B", 50.0, classes=11),
        ],
    }


def test_every_published_network_has_a_colour_and_a_place_for_its_name():
    assert {network.family for network in PUBLISHED} == set(COLOURS)
    assert {network.side for network in PUBLISHED} <= set(SIDES)
    assert len({network.design for network in PUBLISHED}) == len(PUBLISHED)


def test_only_entries_of_150_classes_are_held_against_published_accuracies(report):
    drawn = drawable(report)

    assert [(entry["engine"], published.miou) for entry, published in drawn] == [
        ("torch", 43.6),
        ("openvino", 43.6),
        ("torch", 43.6),
    ]


def test_a_benchmark_without_any_says_what_to_measure(report):
    report["contenders"] = report["contenders"][3:]

    with pytest.raises(CGRSegError, match=r"for 150 classes, which none of mine\.safetensors has; measure cgrseg-t"):
        drawable(report)


def test_each_entry_stands_at_its_median(report):
    figures = pytest.importorskip("matplotlib.figure", reason="needs the extra [plot]")
    axes = figures.Figure().subplots()

    draw_time(axes, drawable(report))

    points = [
        line.get_xydata()[0].tolist() for line in axes.lines if line.get_marker() in "oDX" and len(line.get_xdata())
    ]
    assert points == [[100.0, 43.6], [60.0, 43.6], [400.0, 43.6]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "PyTorch",
        "OpenVINO",
        "PyTorch, plain pipeline",
    ]


def test_an_engine_without_a_name_for_people_keeps_its_own():
    assert runtime_of(row("cgrseg-t", "CGRSeg-T", 1.0, engine="new")) == ("new", "o")


def test_the_conditions_are_under_the_figure(report):
    many = deepcopy(report)
    many["settings"]["threads"] = 4

    line = conditions(report)

    assert line.startswith("Some CPU, 1 thread, batch 1, image of 512 x 683, 150 classes, medians of 20")
    assert "4 threads" in conditions(many)


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_figure_is_written_in_the_format_of_its_name(report, tmp_path, suffix, start):
    pytest.importorskip("matplotlib", reason="needs the extra [plot]")

    plot_report(report, tmp_path / "deep" / f"figure{suffix}")

    assert (tmp_path / "deep" / f"figure{suffix}").read_bytes().startswith(start)


def test_a_format_that_does_not_exist_is_a_mistake(report, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra [plot]")

    with pytest.raises(CGRSegError, match=r"matplotlib cannot write '\.docx' files; use \.png"):
        plot_report(report, tmp_path / "figure.docx")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(MissingExtra, match=r"matplotlib is not installed; run: pip install 'cgrseg\[plot\]'"):
        plot_report(report, tmp_path / "figure.png")
