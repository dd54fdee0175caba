"""Compiling the kernels ahead of use, in a thread: on a machine's first run PyTorch loads meanwhile."""

import gc
import logging
from collections.abc import Callable
from functools import cache
from threading import Thread

import numpy as np

logger = logging.getLogger(__name__)


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
    from cgrseg.labelmap.compiling import is_kept

    if not is_kept(kernel):
        logger.info("compiling the %s kernel; it takes some seconds, once on this machine", what)
