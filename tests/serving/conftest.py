"""A server that all tests of a file share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.served import Served, save_tiny, serving


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A weights file of the smallest network, called `tiny`."""
    return save_tiny(tmp_path_factory.mktemp("served") / "tiny.safetensors")


@pytest.fixture(scope="module")
def server(tiny) -> Iterator[Served]:
    """A server process with one small model, ready."""
    with serving(tiny, "--body-mib", 1, "--pixels", 3_000_000) as served:
        yield served.wait_ready()
