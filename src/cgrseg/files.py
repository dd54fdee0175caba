"""Text files of any Unicode encoding, names that are no Unicode, files written whole, and a folder's lock."""

import codecs
import errno
import json
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cgrseg.errors import CGRSegError, DatasetError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""The marks that a text may begin with; that of UTF-32 begins with that of UTF-16."""
AS_UTF_8 = 'save it as UTF-8 (in PowerShell "Set-Content -Encoding utf8", in Excel "CSV UTF-8")'


def read_text(path: Path, error: type[CGRSegError] = DatasetError) -> str:
    """Read a text in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Args:
        path: the file.
        error: the exception to raise.

    Raises:
        CGRSegError: it is in another encoding, which cannot be told for sure.
    """
    data = path.read_bytes()
    mark, encoding = next(((mark, name) for mark, name in BOMS if data.startswith(mark)), (b"", "utf-8"))
    if not mark and b"\0" in data:  # the other half of a Latin letter or of the end of a line
        encoding = "utf-16-le" if data[1::2].count(0) >= data[::2].count(0) else "utf-16-be"
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as wrong:
        if encoding != "utf-8":
            raise error(f"{path} is damaged {encoding.upper()} text", advice=AS_UTF_8) from None
        line = data.split(b"\n")[data.count(b"\n", 0, wrong.start)]
        shown = line.strip().decode("cp1252", "replace")[:60]
        raise error(
            f"{path} is not in UTF-8, probably in Windows-1252 or another code page: {shown!r}", advice=AS_UTF_8
        ) from None


def readable(name: str) -> str:
    """A file name as Unicode: its bytes are read as Windows-1252, or as Latin-1, where they are no UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        data = os.fsencode(name)
        try:
            return data.decode("cp1252")
        except UnicodeDecodeError:
            return data.decode("latin-1")
    return name


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


def write_json(file: Path, tree: object, indent: int | None = 2) -> Path:
    """Write JSON whole, with the folders above it, and return its path; null in place of NaN and infinity."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(finite(tree), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(file) as unfinished:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")  # as JSON escapes what is no Unicode
    return file


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
