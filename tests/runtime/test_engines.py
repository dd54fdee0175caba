import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch

import cgrseg
from cgrseg import exporting
from cgrseg.errors import CGRSegError, MissingExtra
from cgrseg.runtime import TorchEngine, open_engine
from cgrseg.runtime.cache import cache_folder, kept
from cgrseg.weights import open_weights


def as_read(segmenter: cgrseg.Segmenter, images: np.ndarray) -> np.ndarray:
    return segmenter.engine(images)


@pytest.mark.slow
@pytest.mark.xdist_group("graph")
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_engines_agree_on_pictures_of_any_size_and_number(small_graph, sizes, engine):
    ours = cgrseg.load(small_graph, engine="torch")
    theirs = cgrseg.load(small_graph, engine=engine, threads=1)

    for images in sizes:
        expected, given = as_read(ours, images), as_read(theirs, images)

        assert given.shape == expected.shape
        np.testing.assert_allclose(given, expected, rtol=0, atol=2e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.xdist_group("graph")
@pytest.mark.parametrize(("to", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml")])
def test_an_exported_file_is_loaded_like_weights_and_says_the_same_about_itself(small_graph, tmp_path, to, suffix):
    path, parity = cgrseg.export(small_graph, to, tmp_path / f"small{suffix}")

    segmenter = cgrseg.load(path)

    assert parity.equal >= 0.9999
    assert segmenter.info == cgrseg.load(small_graph).info
    assert segmenter.engine.name == to
    with pytest.raises(CGRSegError, match="load with engine='torch'"):
        _ = segmenter.model


@pytest.mark.slow
def test_a_program_of_pytorchs_exporter_needs_nothing_of_ours(small_weights, tmp_path, sizes):
    write = "import sys, cgrseg; cgrseg.export(sys.argv[1], 'torch', __import__('pathlib').Path(sys.argv[2]))"
    run = (
        "import sys, torch, numpy; sys.modules['cgrseg'] = None; program = torch.export.load(sys.argv[1]).module();"
        "numpy.save(sys.argv[3], program(torch.from_numpy(numpy.load(sys.argv[2]))).detach().numpy())"
    )
    program, given, result = tmp_path / "small.pt2", tmp_path / "given.npy", tmp_path / "result.npy"
    np.save(given, sizes[2])

    subprocess.run([sys.executable, "-W", "ignore", "-c", write, small_weights, program], check=True)
    subprocess.run([sys.executable, "-W", "ignore", "-c", run, program, given, result], check=True)

    expected = as_read(cgrseg.load(small_weights), sizes[2])
    np.testing.assert_allclose(np.load(result), expected, atol=1e-4 * np.abs(expected).max())


def test_the_torch_engine_folds_until_the_network_itself_is_asked_for(small_weights, sizes):
    segmenter = cgrseg.load(small_weights, engine="torch")
    before = as_read(segmenter, sizes[0])

    with torch.no_grad():
        segmenter.model.head.classifier.bias += 1

    np.testing.assert_allclose(as_read(segmenter, sizes[0]), before + 1, rtol=1e-4, atol=1e-4)


def test_a_cached_file_is_made_once_and_appears_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("CGRSEG_CACHE", str(tmp_path / "cache"))
    made = []

    def make(path):
        made.append(path)
        path.write_bytes(b"content")
        assert not (tmp_path / "cache" / "name").exists()

    first, second = kept("name", make), kept("name", make)

    assert first == second == cache_folder() / "name"
    assert len(made) == 1
    assert [file.name for file in cache_folder().iterdir()] == ["name"]


def test_a_cached_file_that_cannot_be_made_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CGRSEG_CACHE", str(tmp_path))

    def make(path):
        path.write_bytes(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept("name", make)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def without(monkeypatch):
    """Makes packages look as if they were not installed."""

    def hide(*names: str) -> None:
        find = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in names else find(name))

    return hide


@pytest.mark.parametrize(("engine", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_package_gives_the_line_that_installs_it(small_weights, without, engine, package):
    without(package)

    with pytest.raises(MissingExtra, match=rf"{package} not installed; run: pip install 'cgrseg\[{engine}\]'"):
        cgrseg.load(small_weights, engine=engine)


def test_auto_is_pytorch_where_openvino_is_not_installed(small_weights, without, monkeypatch):
    monkeypatch.delenv("CGRSEG_AUTO")
    without("openvino")

    assert isinstance(open_engine(open_weights(small_weights)[0]), TorchEngine)


@pytest.mark.slow
@pytest.mark.xdist_group("graph")
def test_auto_is_openvino_where_it_is_installed(small_graph, monkeypatch):
    monkeypatch.delenv("CGRSEG_AUTO")

    assert open_engine(open_weights(small_graph)[0]).name == "openvino"


@pytest.mark.slow
@pytest.mark.xdist_group("bundled")
def test_int8_is_kept_if_it_agrees_and_says_that_it_is_int8(make_graph, tmp_path, shared_data, monkeypatch):
    monkeypatch.setattr(exporting, "CALIBRATION", 24)
    monkeypatch.setattr(exporting, "JUDGES", 4)
    make_graph("cgrseg-t-camvid")
    frames = cgrseg.open_dataset("folder", shared_data / "camvid", "train")

    path, parity = cgrseg.export("cgrseg-t-camvid", "openvino", tmp_path / "small.xml", calibrate=frames)

    assert parity.is_int8
    assert parity.equal >= 0.99
    assert cgrseg.load(path).engine.metadata["int8"]
    assert path.with_suffix(".bin").stat().st_size < 0.4 * 4 * 9.3e6
    assert {file.name for file in tmp_path.glob("small*")} == {"small.xml", "small.bin", "small.xml.parity.json"}
