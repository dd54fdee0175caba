import os
import shlex
import subprocess
import sys
from typing import get_args

import pytest

import cgrseg
from cgrseg.cli import commands
from cgrseg.cli.options import ENGINES
from cgrseg.runtime import EngineName


def test_version_is_the_package_version(run):
    assert run("--version").out == f"cgrseg {cgrseg.__version__}\n"


@pytest.mark.parametrize("command", ["", *commands.commands])
def test_every_help_has_an_example(run, command):
    result = run(*command.split(), "--help")

    assert result.code == 0
    assert "Example:\n    cgrseg " in result.out


def test_the_engines_offered_are_those_there_are():
    assert get_args(EngineName) == ENGINES


def test_an_unknown_command_is_a_usage_error(run):
    result = run("segment", "photo.jpg")

    assert result.code == 2
    assert "No such command 'segment'" in result.err
    assert result.out == ""


def test_a_mistake_is_one_line_without_a_traceback(run):
    result = run("predict", "no-such-photo.jpg")

    assert result.code == 1
    assert result.err.startswith("cgrseg: error: no-such-photo.jpg: no such file")
    assert result.err.count("\n") == 1
    assert result.out == ""


def test_an_output_that_cannot_be_written_is_one_line(run, weights, images, tmp_path):
    (tmp_path / "file").write_text("in the way")

    result = run("predict", images, "-w", weights, "-o", tmp_path / "file" / "out")

    assert result.code == 1
    assert "Traceback" not in result.err


def test_an_interrupt_ends_quietly(run, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands.commands["info"], "invoke", interrupt)

    result = run("info", "cgrseg-t-camvid")

    assert result.code == 130
    assert result.err.strip() == "cgrseg: stopped"


def test_a_name_that_the_terminal_cannot_show_is_escaped():
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}

    result = subprocess.run(
        [sys.executable, "-m", "cgrseg", "info", "雪.safetensors"], env=environment, capture_output=True, check=False
    )

    assert result.returncode == 1
    assert b"\\u96ea.safetensors: no such weights file" in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_an_argument_that_is_no_text_is_escaped(encoding):
    command = [sys.executable, "-m", "cgrseg", "info", b"\xff\xc3\xa9.safetensors"]
    result = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": encoding}, capture_output=True, check=False)

    assert result.returncode == 1
    assert b"no such weights file" in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="of a POSIX shell")
@pytest.mark.parametrize("closing", ["<&- >&-", ">&- 2>&-"])
def test_closed_streams_do_not_stop_it(weights, images, tmp_path, closing):
    command = shlex.join(
        [sys.executable, "-m", "cgrseg", "predict", str(images), "-w", str(weights), "-o", str(tmp_path)]
    )
    result = subprocess.run(["sh", "-c", f"{command} {closing}"], capture_output=True, text=True, check=False)

    assert (result.returncode, "Traceback" in result.stderr) == (0, False)


def test_a_report_above_the_limit_of_file_sizes_is_one_line_and_none_is_left(weights, tmp_path):
    resource = pytest.importorskip("resource")
    command = [sys.executable, "-m", "cgrseg", "info", weights, "--json", tmp_path / "info.json"]
    result = subprocess.run(
        command,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr.startswith(f"cgrseg: error: {tmp_path / 'info.json'}: file too large; raise the limit")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_early_ends_it_without_a_traceback():
    with subprocess.Popen(
        [sys.executable, "-m", "cgrseg", "data", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        said = process.stderr.read()

    assert process.returncode == 1
    assert said == b""


def test_threads_that_do_not_end_are_abandoned_after_ctrl_c():
    program = """
import signal, threading, cgrseg.cli
cgrseg.cli.STOP_SECONDS = 1
threading.Thread(target=threading.Event().wait).start()
cgrseg.cli.commands.main = lambda **_: signal.raise_signal(signal.SIGINT)
cgrseg.cli.main()
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert (result.returncode, result.stderr) == (130, "cgrseg: stopped\n")
