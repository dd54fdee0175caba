"""Compiling the kernels: how, and ahead of use in a thread, while PyTorch loads on a machine's first run."""

import gc
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Thread

import numpy as np

logger = logging.getLogger(__name__)


def compiled(function: Callable) -> Callable:
    """The function in machine code, kept for the next process where there is a folder to write to.

    Products and sums are not fused: a line must have the same value wherever it is evaluated, or ties would break.
    """
    try:
        return _compiled(function, cache=True)
    except RuntimeError:  # numba found no such folder
        return _compiled(function)


def part(function: Callable) -> Callable:
    """A function for compiled functions of the same file only: without an entry point for Python, it compiles faster.

    It is kept inside its callers. The same file, because numba looks for changes nowhere else.
    """
    return _compiled(function, no_cpython_wrapper=True)


def _compiled(function: Callable, **options: bool) -> Callable:
    from numba import njit  # here, so that `warm_up` loads it in its thread

    # type: ignore below: numba's type hints leave out some of the options that it documents
    return njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)  # type: ignore[call-overload]


def is_kept(function: Callable) -> bool:
    """Whether this machine has the machine code of a compiled function from an earlier process."""
    folder = function.stats.cache_path  # type: ignore[attr-defined]  # numba's own attribute of what `compiled` returns
    return folder is not None and any(Path(folder).glob(f"*.{function.__name__}-*.nbi"))


def warm_up() -> Thread:
    """Load or compile the kernels that most images need, in a thread.

    For commands, not for libraries: a process forked before the thread ends waits for
    numba's lock for ever.
    """
    thread = Thread(target=_use_kernels, name="warm-up")
    thread.start()
    return thread


def _use_kernels() -> None:
    """Call each kernel as `label_map` and `confidence_map` do, for an image of one pixel and two classes."""
    collects = gc.isenabled()
    gc.disable()  # collecting would take a tenth of the time and free little
    try:
        from cgrseg.labelmap.argmax import label_rows
        from cgrseg.labelmap.softmax import weigh_rows

        logits, cell, share = np.zeros((2, 1, 1), np.float32), np.zeros(1, np.int32), np.zeros(1, np.float32)
        announce(label_rows, "label map")
        label_rows(logits, cell, share, np.array([0, 1], np.int32), share, np.empty((1, 1), np.uint8))
        announce(weigh_rows, "confidence")
        first, pitch = np.array([0, 1, 1], np.int32), np.ones(2, np.float32)
        weigh_rows(logits, cell, share, first, share, pitch, np.empty((1, 1), np.float32))
    finally:
        if collects:
            gc.enable()


@cache
def announce(kernel: Callable[..., object], what: str) -> None:
    """Say, once, that a kernel is about to be compiled; nothing where this machine has it."""
    if not is_kept(kernel):
        logger.info("compiling the %s kernel; it takes some seconds, once on this machine", what)
