"""Files that take long to make and are the same each time: made once on a machine, found again by what they are of.

A name is a digest of everything that the content depends on, so a file is never stale; it appears whole or not at all,
so two processes that make the same one at the same time both end up with it. The folder may be deleted at any time.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import nn

import cgrseg
from cgrseg.files import replacing

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`$CGRSEG_CACHE`, or the usual place for caches; one that vanishes where neither can be written to."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "cgrseg"
    folder = Path(os.environ.get("CGRSEG_CACHE") or usual)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    logger.warning("%s cannot be written to; prepared networks are kept for this process only", folder)
    return Path(_vanishing().name)


@cache
def _vanishing() -> tempfile.TemporaryDirectory:
    """A folder of this process alone, gone when it ends."""
    return tempfile.TemporaryDirectory(prefix="cgrseg-")


def kept(name: str, make: Callable[[Path], None], notice: str = "") -> Path:
    """The file of that name in the cache; `make` writes it where there is none, after `notice` is logged."""
    path = cache_folder() / name
    if not path.is_file():
        if notice:
            logger.info("%s", notice)
        with replacing(path) as unfinished:
            make(unfinished)
    return path


def digest_of(model: nn.Module, *more: str) -> str:
    """A digest of a network's structure, settings and tensors, and of whatever else matters."""
    digest = hashlib.sha256("\n".join([_code(), torch.__version__, repr(model), *more]).encode())
    digest.update(str(getattr(model, "position", "")).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def digest_of_file(path: Path, *more: str) -> str:
    """A digest of a file's content, and of whatever else matters."""
    digest = hashlib.sha256("\n".join([cgrseg.__version__, *more]).encode())
    digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def _code() -> str:
    """A digest of the code that networks and graphs are made by."""
    digest = hashlib.sha256(cgrseg.__version__.encode())
    package = Path(__file__).parents[1]
    for file in sorted([*package.glob("model/*.py"), *package.glob("runtime/*.py")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()
