import errno
import os
from pathlib import Path

import pytest

from cgrseg.errors import DatasetError, RecipeError, sentence_of
from cgrseg.files import finite, read_text, readable, replacing
from cgrseg.recipes import read_recipe

TEXT = "Bäume\r\nStraße\r\n"


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


@pytest.mark.parametrize(
    "data",
    [TEXT.encode(name) for name in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")]
    + [b"\xfe\xff" + TEXT.encode("utf-16-be")],
)
def test_a_text_in_any_unicode_encoding_is_read_with_or_without_a_mark(tmp_path, data):
    (tmp_path / "classes.txt").write_bytes(data)

    assert read_text(tmp_path / "classes.txt") == TEXT


def test_a_text_of_other_letters_in_utf_16_without_a_mark_is_read(tmp_path):
    (tmp_path / "classes.txt").write_bytes("道路\n天空\n".encode("utf-16-le"))

    assert read_text(tmp_path / "classes.txt") == "道路\n天空\n"


@pytest.mark.parametrize(
    ("encoding", "line"), [("cp1252", "'Straße'"), ("cp1250", "'Straße'"), ("latin-1", "'Straße'")]
)
def test_a_text_in_a_code_page_is_refused_with_the_line_and_how_to_save_it(tmp_path, encoding, line):
    (tmp_path / "classes.txt").write_bytes(f"road\n{line[1:-1]}\nsky\n".encode(encoding))

    with pytest.raises(DatasetError, match=f"not in UTF-8, probably in Windows-1252.*{line}; save it as UTF-8"):
        read_text(tmp_path / "classes.txt")


def test_a_recipe_in_utf_16_is_read_and_one_in_a_code_page_refused(tmp_path):
    for encoding in ("utf-16", "cp1252"):
        (tmp_path / f"{encoding}.yaml").write_bytes("data: {merge: {Bäume: [a]}}\n".encode(encoding))

    assert list(read_recipe(tmp_path / "utf-16.yaml").data.merge) == ["Bäume"]
    with pytest.raises(RecipeError, match="save it as UTF-8"):
        read_recipe(tmp_path / "cp1252.yaml")


@pytest.mark.parametrize(
    ("stored", "name"),
    [("café.png".encode(), "café.png"), (b"caf\xe9.png", "café.png"), (b"\x81\xff.png", "\x81ÿ.png")],
)
def test_a_file_name_that_is_no_utf_8_becomes_readable(stored, name):
    assert readable(os.fsdecode(stored)) == name
