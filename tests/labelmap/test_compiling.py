"""The kernels are compiled once, ahead of use, without PyTorch, and found by the next process."""

import gc
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from cgrseg.labelmap import compiling, confidence_map, label_map, warm_up
from cgrseg.labelmap.argmax import label_rows
from cgrseg.labelmap.softmax import weigh_rows

REPORT = """
import json, sys
from cgrseg.labelmap import warm_up
warm_up().join()
from cgrseg.labelmap import argmax, softmax
from cgrseg.labelmap.compiling import is_kept
functions = [each for home in (argmax, softmax) for each in vars(home).values() if hasattr(each, "signatures")]
print(json.dumps({
    "torch": "torch" in sys.modules,
    "compiled": {each.__name__: len(each.signatures) for each in functions},
    "kept": [each.__name__ for each in functions if is_kept(each)],
}))
"""


def test_what_is_compiled_ahead_is_what_images_need():
    warm_up().join()
    compiled = label_rows.signatures, weigh_rows.signatures

    for threads in (1, 2):
        label_map(np.zeros((25, 9, 7), np.float32), (70, 51), (70, 51), threads=threads)
        confidence_map(np.zeros((25, 9, 7), np.float32), (70, 51), (70, 51), threads=threads)

    assert (label_rows.signatures, weigh_rows.signatures) == compiled


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_afterwards_if_it_was_before(collects):
    was = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        compiling._use_kernels()
        assert gc.isenabled() == collects
    finally:
        (gc.enable if was else gc.disable)()


@pytest.mark.slow
def test_on_a_new_machine_each_function_is_compiled_once_and_both_kernels_are_kept(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}

    first, second = (
        json.loads(subprocess.check_output([sys.executable, "-c", REPORT], env=environment, text=True))
        for _ in range(2)
    )

    unused = {"weigh_steep_rows", "mix", "sum_powers"}  # few images need them
    assert first["compiled"] == {name: name not in unused for name in first["compiled"]}
    assert {name for name, count in second["compiled"].items() if count} == {"label_rows", "weigh_rows"}
    assert sorted(first["kept"]) == sorted(second["kept"]) == ["label_rows", "weigh_rows"]
    assert not first["torch"]
