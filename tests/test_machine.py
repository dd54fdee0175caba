"""Memory of this process, and the description of this machine."""

import shutil
import subprocess
import sys

import pytest
import torch

from cgrseg import machine as machine_module
from cgrseg.machine import forget_peak, machine, matrix_rate, peak_memory

MIB = 1 << 20


PEAK = """
import numpy
from cgrseg.machine import forget_peak, peak_memory
held = forget_peak()
block = numpy.ones(64 << 20, numpy.uint8)
del block
print(peak_memory() - held)
"""
"""In a process of its own: what else lives in this one may give memory back at the same time."""


@pytest.mark.slow
def test_the_peak_remembers_memory_that_was_given_back():
    output = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True).stdout

    assert int(output) >= 60 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither of the two")
def test_a_system_without_proc_tells_the_peak_too(monkeypatch):
    def absent(key):
        raise OSError(key)

    monkeypatch.setattr(machine_module, "_status", absent)

    assert forget_peak() > MIB
    assert peak_memory() > MIB


def test_the_rate_is_the_best_of_some_products(monkeypatch):
    ticks = iter([0.0, 3.0, 10.0, 12.0])
    monkeypatch.setattr(machine_module, "MATRIX", 8)
    monkeypatch.setattr(machine_module.time, "perf_counter", lambda: next(ticks))

    assert matrix_rate(repeats=2) == 8**3 / 2.0


def test_the_machine_names_processor_and_versions():
    tree = machine().as_tree()

    assert tree["processor"]
    assert tree["cores"] >= 1
    assert tree["versions"]["torch"] == torch.__version__
    assert "no-such-package" not in tree["versions"]


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit of one folder, and a folder that it does not hold."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    for folder in ("held", "foreign"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text("1\n")
    (tmp_path / ".gitignore").write_text("foreign\n")
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    return tmp_path


def test_the_commit_is_marked_where_sources_changed_since(repository):
    before = machine_module._commit(repository / "held")
    (repository / "held" / "code.py").write_text("2\n")
    after = machine_module._commit(repository / "held")

    assert len(before) >= 7
    assert after == f"{before}+"


def test_a_repository_that_only_surrounds_the_package_is_not_its_commit(repository):
    assert machine_module._commit(repository / "foreign") == ""
