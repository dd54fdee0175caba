import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import cgrseg
from cgrseg.cli import commands
from cgrseg.errors import CGRSegError, CheckpointError, MissingExtra
from cgrseg.exporting.quantization import quantize
from cgrseg.runtime import TorchEngine, graph_of, open_engine, open_graph
from cgrseg.runtime.cache import cache_folder, kept
from cgrseg.weights import open_weights

BOTH_BACKBONES = pytest.mark.parametrize("small_weights", ["sum", "lite"], indirect=True, scope="session")
"""For what does not depend on the arithmetic inside attention."""


def as_read(segmenter: cgrseg.Segmenter, images: np.ndarray) -> np.ndarray:
    return segmenter.engine(images)


@pytest.mark.slow
@pytest.mark.xdist_group("graph")
@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_engines_agree_on_images_of_any_size_and_number(small_graph, sizes, engine):
    ours = cgrseg.load(small_graph, engine="torch")
    theirs = cgrseg.load(small_graph, engine=engine, threads=1)

    for images in sizes:
        expected, given = as_read(ours, images), as_read(theirs, images)

        assert given.shape == expected.shape
        np.testing.assert_allclose(given, expected, rtol=0, atol=2e-4 * np.abs(expected).max())


@BOTH_BACKBONES
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
    assert "classes: [a, b, c, d, e]" in CliRunner().invoke(commands, ["info", str(path)]).output


@BOTH_BACKBONES
@pytest.mark.slow
def test_a_program_of_pytorchs_exporter_needs_nothing_of_ours(small_weights, tmp_path, sizes):
    run = (
        "import sys, torch, numpy; sys.modules['cgrseg'] = None; program = torch.export.load(sys.argv[1]).module();"
        "given = numpy.load(sys.argv[2]); run = lambda x: program(torch.from_numpy(x)).detach().numpy();"
        "numpy.savez(sys.argv[3], **{name: run(given[name]) for name in given})"
    )
    program, given, result = tmp_path / "small.pt2", tmp_path / "given.npz", tmp_path / "result.npz"
    inputs = {"one": sizes[2], "several": np.stack([sizes[2][0, :, :77, :91], sizes[2][0, :, -77:, -91:]])}
    np.savez(given, **inputs)

    cgrseg.export(small_weights, "torch", program)
    subprocess.run([sys.executable, "-W", "ignore", "-c", run, program, given, result], check=True)

    for name, images in inputs.items():
        expected = as_read(cgrseg.load(small_weights), images)
        np.testing.assert_allclose(np.load(result)[name], expected, atol=1e-4 * np.abs(expected).max())


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


def test_where_nothing_can_be_kept_the_cache_is_this_process_own(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CGRSEG_CACHE", str(tmp_path / "file" / "cache"))

    path = kept("name", lambda unfinished: unfinished.write_bytes(b"content"))

    assert path.read_bytes() == b"content"
    assert cache_folder() == path.parent
    assert "kept for this process only" in caplog.text


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


@BOTH_BACKBONES
@pytest.mark.slow
@pytest.mark.xdist_group("graph")
def test_quantizing_puts_every_convolution_in_integers_but_for_the_parts_that_stay_in_floats(small_graph, sizes):
    graph = graph_of(open_weights(small_graph)[0])
    images = [np.ascontiguousarray(sizes[2][:, :, :128, :192])] * 2

    whole, partly = quantize(graph, images), quantize(graph, images, ["head", "reconstruct"])

    assert in_integers(whole)[0] == 1.0
    assert 0.5 < in_integers(partly)[0] < 1.0
    assert not [name for name in in_integers(partly)[1] if name.startswith(("head.", "reconstruct."))]


def in_integers(model) -> tuple[float, list[str]]:
    """The share of convolutions whose kernels are 8-bit integers, and the names of their kernels."""
    convolutions = [node for node in model.get_ordered_ops() if "Convolution" in node.get_type_name()]
    quantized = []
    for node in convolutions:
        kernel = node.input_value(1).get_node()
        is_quantized = False
        while kernel.get_type_name() in ("Multiply", "Subtract", "Convert", "Reshape", "FakeQuantize"):
            is_quantized = is_quantized or kernel.get_type_name() in ("Multiply", "FakeQuantize")
            kernel = kernel.input_value(0).get_node()
        if is_quantized:
            quantized.append(kernel.get_friendly_name())
    return len(quantized) / len(convolutions), quantized


def test_files_that_are_no_graph_of_ours_are_refused_in_one_sentence(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")

    for engine, sentence in (("onnx", "ONNX Runtime cannot read it"), ("openvino", "OpenVINO cannot read it")):
        with pytest.raises(CheckpointError, match=sentence):
            open_graph(broken, engine=engine)
    with pytest.raises(CGRSegError, match="engine 'torch' runs weights"):
        open_graph(broken, engine="torch")
    with pytest.raises(CheckpointError, match="no such file"):
        open_graph(tmp_path / "absent.xml")
    (tmp_path / "graph.xml").write_text("<net/>")
    with pytest.raises(CGRSegError, match="use engine 'openvino'"):
        open_graph(tmp_path / "graph.xml", engine="onnx")
