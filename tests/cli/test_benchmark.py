import json
import sys

import pytest
from rich.console import Console

from cgrseg.benchmarking.baselines import BASELINES as KNOWN_BASELINES
from cgrseg.cli.benchmark import BASELINES, tables


@pytest.fixture
def quick(monkeypatch):
    """No matrix products, and no process that measures memory."""
    from cgrseg import benchmarking
    from cgrseg.benchmarking.entries import Memory

    monkeypatch.setattr(benchmarking, "matrix_rate", lambda repeats: 4e9)
    monkeypatch.setattr(benchmarking, "memory_of", lambda entry, photo: Memory(300 << 20, 50 << 20))


@pytest.mark.slow
def test_a_benchmark_prints_its_conditions_times_and_costs(run, weights, images, quick):
    result = run("benchmark", weights, "--image", images / "one.png", "--engine", "torch", "--repeats", "2")

    assert result.code == 0
    assert "one.png at 40 x 60, batch 1, 1 thread; 2 rounds after 3 of warm-up" in result.out
    for heading in ("decode", "prepare", "network", "label map", "ratio", "MACs", "in layers", "memory"):
        assert heading in result.out
    assert "random.safetensors" in result.out
    assert "8 GFLOP/s" in result.out


@pytest.mark.slow
def test_a_benchmark_keeps_everything_as_json(run, weights, images, quick, tmp_path):
    file = tmp_path / "results" / "here.json"
    arguments = [
        "benchmark",
        weights,
        "--engine",
        "torch",
        "--image",
        images / "one.png",
        "--size",
        "32x48",
        "--repeats",
        "2",
    ]

    run(*arguments, "--against", "plain", "--json", file)

    report = json.loads(file.read_text())
    own, plain = report["contenders"]
    assert report["command"].startswith("cgrseg benchmark ")
    assert report["command"].endswith(f"--json {file}")
    assert report["picture"] == {"name": "one.jpg", "height": 32, "width": 48}
    assert (own["classes"], own["is_trained"], own["ratio"]) == (3, True, 1.0)
    assert (plain["name"], plain["is_trained"], plain["input"]) == ("plain", False, [64, 96])
    assert own["memory"] == {"peak_bytes": 300 << 20, "above_model_bytes": 50 << 20}


@pytest.mark.slow
def test_networks_without_weights_have_as_many_classes_as_wanted(run, images, quick, tmp_path):
    small = ["--image", images / "one.png", "--repeats", "2", "--json", tmp_path / "here.json"]

    result = run("benchmark", "cgrseg-s0", "--engine", "torch", "--classes", "7", *small)

    entry = json.loads((tmp_path / "here.json").read_text())["contenders"][0]
    assert (entry["classes"], entry["is_trained"]) == (7, False)
    assert "Some weights are random" in result.out


@pytest.fixture
def wide():
    """A report of large numbers."""
    span = {"median_ms": 1234.5, "low_ms": 1200.1, "high_ms": 1299.9, "fastest_ms": 1111.1}
    row = {
        "name": "folder/cgrseg-t-ade20k.safetensors",
        "engine": "openvino",
        "precision": "int8",
        "is_trained": True,
        "input": [1024, 2048],
        "complexity": {"parameters": 19_110_000, "macs": 123_450_000_000, "layer_macs": 100_000_000_000},
        "stages": dict.fromkeys(("decode", "prepare", "network", "label map"), span),
        "total": span,
        "ratio": 12.34,
        "same_labels": 0.99876,
        "memory": {"peak_bytes": 2 << 30, "above_model_bytes": 1 << 30},
        "floor_ms": 1234.5,
    }
    versions = {"python": "3.11.7", "cgrseg": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.4.6"}
    return {
        "date": "2026-11-23T12:00:00+00:00",
        "machine": {"processor": "CPU", "cores": 2, "system": "Linux x86_64", "versions": versions, "commit": "abc+"},
        "picture": {"name": "street.jpg", "height": 1024, "width": 2048},
        "settings": {"threads": 2, "repeats": 20, "warm_up": 3},
        "fp32_macs_per_s": 40_000_000_000,
        "contenders": [row],
    }


def test_tables_fit_a_terminal_of_100_columns(wide):
    console = Console(width=100, record=True, file=sys.stderr)

    console.print(*tables(wide), sep="\n")

    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for value in (
        "1200..1300",
        "1024 x 2048",
        "123.45",
        "12.34",
        "99.876 % of the labels as on",
        "openvino, int8",
        "2048",
    ):
        assert value in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cgrseg-t", "--engine", "torch,onyx"], "'onyx' is none of auto, torch"),
        (["cgrseg-t", "--against", "deeplab"], "'deeplab' is none of plain, segformer-b0"),
        (["cgrseg-t", "--size", "512"], "'512' is not a size; write height x width, for example 512x683"),
        (["cgrseg-t", "--size", "0x9"], "'0x9' is not a size"),
        (["cgrseg-t", "--repeats", "1"], "--repeats"),
        ([], "Missing argument 'WEIGHTS...'"),
    ],
)
def test_a_wrong_option_is_a_usage_error(run, arguments, message):
    result = run("benchmark", *arguments)

    assert result.code == 2
    assert message in result.err


def test_missing_weights_are_a_mistake(run):
    result = run("benchmark", "no-such-weights")

    assert result.code == 1
    assert "no-such-weights: no such weights file" in result.err


def test_a_figure_is_asked_for_before_anything_is_measured(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    result = run("benchmark", "no-such-weights", "--plot", "figure.png")

    assert result.code == 1
    assert "pip install 'cgrseg[plot]'" in result.err


def test_the_baselines_offered_are_those_of_the_library():
    assert BASELINES == KNOWN_BASELINES
