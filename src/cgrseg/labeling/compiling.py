"""How the kernels are compiled."""

from collections.abc import Callable
from pathlib import Path

from numba import njit


def compiled(function: Callable) -> Callable:
    """The function in machine code, kept for the next process where there is a folder to write to.

    Products and sums are not fused: a line must have the same value wherever it is evaluated, or ties would break.
    """
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no such folder
        return njit(nogil=True, error_model="numpy")(function)


def is_kept(function: Callable) -> bool:
    """Whether this machine has the machine code of a compiled function from an earlier process."""
    folder = function.stats.cache_path  # type: ignore[attr-defined]  # numba's own attribute of what `compiled` returns
    return folder is not None and any(Path(folder).glob(f"*.{function.__name__}-*.nbi"))
