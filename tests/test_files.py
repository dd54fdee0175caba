import errno
import os
from pathlib import Path

import pytest

from cgrseg.errors import sentence_of
from cgrseg.files import finite, replacing


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    with replacing(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail_half_way():
        with replacing(path) as unfinished:
            unfinished.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.ENOENT])
def test_what_cannot_be_written_is_named_and_nothing_is_left(tmp_path, number):
    def fail_half_way():
        with replacing(tmp_path / "file") as unfinished:
            unfinished.write_text("half")
            raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        fail_half_way()

    assert caught.value.filename == str(tmp_path / "file")
    assert sentence_of(caught.value).startswith(f"{tmp_path / 'file'}: {os.strerror(number).lower()}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has this device")
def test_a_device_is_written_to_and_not_replaced():
    with pytest.raises(OSError, match="/dev/full"), replacing(Path("/dev/full")) as unfinished:
        unfinished.write_text("text")

    assert Path("/dev/full").is_char_device()


def test_what_json_cannot_express_becomes_null():
    assert finite({"a": float("nan"), "b": (1, float("inf"))}) == {"a": None, "b": [1, None]}
