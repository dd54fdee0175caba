import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from PIL import Image


def test_each_image_gets_a_label_map_of_its_size(run, weights, images, tmp_path):
    result = run("predict", images, "-w", weights, "-o", tmp_path / "out")

    written = result.out.splitlines()
    assert result.code == 0
    assert len(written) == 2
    for line in written:
        with Image.open(line) as labels:
            assert labels.size == (60, 40)
    assert "2 of 2 images in " in result.err


def test_images_are_shown_to_the_network_as_asked_for(run, weights, images, tmp_path):
    for protocol in ("whole", "multi-scale"):
        run("predict", images / "one.png", "-w", weights, "-o", tmp_path / protocol, "--protocol", protocol)

    confidence = [
        json.loads((tmp_path / protocol / "one.json").read_text())["confidence"]
        for protocol in ("whole", "multi-scale")
    ]
    assert confidence[0] != confidence[1]


def test_several_sources_are_taken_in_turn(run, weights, images, tmp_path):
    result = run("predict", images / "two.png", images / "o*.png", "-w", weights, "-o", tmp_path / "out")

    assert [line.split("/")[-1].split(".")[0].split("_")[0] for line in result.out.splitlines()] == ["two", "one"]


def test_a_broken_image_is_named_and_the_rest_goes_on(run, weights, images, tmp_path):
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff not an image")

    result = run("predict", images, "-w", weights, "-o", tmp_path / "out")

    assert result.code == 3
    assert len(result.out.splitlines()) == 2
    assert "cgrseg: error: " in result.err
    assert "broken.jpg" in result.err
    assert "2 of 3 images in " in result.err


def test_one_broken_image_alone_is_a_mistake(run, weights, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"")

    result = run("predict", tmp_path / "broken.jpg", "-w", weights, "-o", tmp_path / "out")

    assert result.code == 1
    assert "broken.jpg is empty" in result.err
    assert "Traceback" not in result.err


def test_weights_that_do_not_exist_are_a_mistake(run, images):
    result = run("predict", images, "-w", "no-such-weights")

    assert result.code == 1
    assert "no-such-weights" in result.err


def test_results_that_cannot_be_written_end_the_run(run, weights, images, tmp_path):
    result = run("predict", images, "-w", weights, "-o", "/proc/results")

    assert result.code == 1
    assert "cannot write results there" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("name", ["one_overlay.jpg", "one.json", "one.png"])
def test_files_that_are_no_results_are_kept_and_nothing_is_written(run, weights, images, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"shapes": []}')

    result = run("predict", images, "-w", weights, "-o", out)

    assert result.code == 1
    assert f"{name} exists, and is not the result of an earlier prediction" in result.err
    assert {file.name: file.read_text() for file in out.iterdir()} == {name: '{"shapes": []}'}


def test_an_image_is_not_replaced_by_the_overlay_of_another(run, weights, images):
    shutil.copy(images / "one.png", images / "one_overlay.png")
    before = {file.name: file.read_bytes() for file in images.iterdir()}

    result = run("predict", images, "-w", weights, "-o", images)

    assert result.code == 1
    assert "is one of the images, and a result would replace it" in result.err
    assert {file.name: file.read_bytes() for file in images.iterdir()} == before


def test_results_of_an_earlier_prediction_are_replaced(run, weights, images, tmp_path):
    first, second = (run("predict", images, "-w", weights, "-o", tmp_path / "out") for _ in range(2))

    assert (first.code, second.code) == (0, 0)


@pytest.mark.parametrize("given", [("png,labelme", "coco"), ("png", "labelme", "coco"), ("png, labelme,coco",)])
def test_formats_come_with_commas_or_one_by_one(run, weights, images, tmp_path, given):
    options = [word for value in given for word in ("--format", value)]

    result = run("predict", images, "-w", weights, "-o", tmp_path / "out", *options)

    assert result.code == 0
    assert [line.split("/")[-1] for line in result.out.splitlines()] == ["one.png", "two.png"]
    files = sorted(file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.*"))
    assert files == ["coco.json", "labelme/one.json", "labelme/two.json", "one.json", "one.png", "two.json", "two.png"]
    assert len(json.loads((tmp_path / "out/coco.json").read_text())["images"]) == 2


def test_a_format_that_does_not_exist_ends_the_run_before_it_begins(run, weights, images, tmp_path):
    result = run("predict", images, "-w", weights, "-o", tmp_path / "out", "--format", "labelme,voc")

    assert result.code == 1
    assert "no format of results is called 'voc'; the formats are png, overlay" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["coco.json", "cvat.zip", "labelme/one.json"])
def test_annotation_files_of_others_are_kept_and_nothing_is_written(run, weights, images, tmp_path, name):
    (tmp_path / "out/labelme").mkdir(parents=True)
    (tmp_path / "out" / name).write_text('{"shapes": []}')

    result = run("predict", images, "-w", weights, "-o", tmp_path / "out", "--format", "png,labelme,coco,cvat")

    assert result.code == 1
    assert f"{name} exists, and is not the result of an earlier prediction" in result.err
    assert [file.name for file in (tmp_path / "out").rglob("*.*")] == [name.split("/")[-1]]


MORE_THAN_A_PIPE_HOLDS = 2000
"""Paths of label maps, 64 KiB: however slow the reader of them is, the writer cannot be done before."""


@pytest.mark.slow
def test_ctrl_c_stops_it_at_once_and_leaves_whole_files_only(weights, images, tmp_path):
    for copy in range(MORE_THAN_A_PIPE_HOLDS):
        shutil.copy(images / "one.png", images / f"one{copy:04}.png")
    command = [sys.executable, "-m", "cgrseg", "predict", images, "-w", weights, "-o", tmp_path / "out"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().endswith("one.png\n")
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate(timeout=60)

    assert process.returncode == 130
    assert told.strip() == "cgrseg: stopped"
    assert len(printed.splitlines()) < MORE_THAN_A_PIPE_HOLDS
    assert not [file for file in (tmp_path / "out").iterdir() if file.suffix == ".tmp"]


@pytest.mark.slow
def test_progress_goes_to_stderr_and_results_to_stdout(weights, images, tmp_path):
    command = [sys.executable, "-m", "cgrseg", "predict", images, "-w", weights, "-o", tmp_path / "out"]
    terminal = os.environ | {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "COLUMNS": "100"}

    result = subprocess.run(command, capture_output=True, text=True, env=terminal, check=True)

    assert "images" in result.stderr
    assert "2/2" in result.stderr
    assert len(result.stdout.splitlines()) == 2
    assert "\x1b" not in result.stdout
