"""How the kernels are compiled."""

from collections.abc import Callable
from pathlib import Path

from numba import njit


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
    # type: ignore below: numba's type hints leave out some of the options that it documents
    return njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)(function)  # type: ignore[call-overload]


def is_kept(function: Callable) -> bool:
    """Whether this machine has the machine code of a compiled function from an earlier process."""
    folder = function.stats.cache_path  # type: ignore[attr-defined]  # numba's own attribute of what `compiled` returns
    return folder is not None and any(Path(folder).glob(f"*.{function.__name__}-*.nbi"))
