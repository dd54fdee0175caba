"""Writing files whole, so that a reader finds the old content or the new; and locking a folder for one process."""

import errno
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def replacing(path: Path, named: Callable[[Path], str] | None = None) -> Iterator[Path]:
    """A path beside `path` to write to; when the block ends well its content is on disk and becomes `path`.

    A device, such as /dev/stdout, is written to itself.

    Args:
        path: of the file.
        named: gives the file, from what was written, another name than that of `path`.

    Raises:
        OSError: it cannot be written; its `filename` is `path`.
    """
    is_device = path.exists() and not path.is_file()
    unfinished = path if is_device else path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield unfinished
        if is_device:
            return
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path if named is None else path.with_name(named(unfinished)))
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename not in (None, str(unfinished)) or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        if not is_device:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


def json_text(tree: object) -> str:
    """JSON for people and programs; null in place of NaN and infinity, which JSON cannot express."""
    return json.dumps(finite(tree), indent=2, allow_nan=False) + "\n"


def finite(tree: object) -> object:
    """The same with None in place of NaN and infinity."""
    if isinstance(tree, float) and not math.isfinite(tree):
        return None
    if isinstance(tree, Mapping):
        return {key: finite(value) for key, value in tree.items()}
    return [finite(value) for value in tree] if isinstance(tree, list | tuple) else tree


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left unfinished in a folder to which no other process is writing."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder, which ends with the process at the latest; whether it was free.

    Always free where the system has no POSIX locks. Processes that this one starts do not inherit it.
    """
    if fcntl is None:
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                yield True  # a file system without locks
                return
            yield False
            return
        yield True


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk, too, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
