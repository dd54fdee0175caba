"""Settings of the server: model names, and the options of the command line."""

import pytest

from cgrseg.cli.serve import read_token
from cgrseg.errors import CGRSegError
from cgrseg.serving import ServeConfig


def sources(*weights: str) -> dict[str, str]:
    return ServeConfig(weights=weights).sources()


@pytest.mark.parametrize(
    ("given", "name", "source"),
    [
        ("cgrseg-t-camvid", "cgrseg-t-camvid", "cgrseg-t-camvid"),
        ("runs/a/best.safetensors", "best", "runs/a/best.safetensors"),
        ("owner/name-1.5", "name-1.5", "owner/name-1.5"),
        ("street=runs/a/best.safetensors", "street", "runs/a/best.safetensors"),
        ("runs/x=1/best.onnx", "best", "runs/x=1/best.onnx"),
    ],
)
def test_a_model_is_called_as_told_or_by_its_file(given, name, source):
    assert sources(given) == {name: source}


def test_two_models_of_one_name_are_refused_with_the_way_out():
    with pytest.raises(CGRSegError, match=r"best-2=b/best\.safetensors"):
        sources("a/best.safetensors", "b/best.safetensors")


def test_a_name_that_fits_no_address_is_refused():
    with pytest.raises(CGRSegError, match="'my model'"):
        sources("my model.safetensors")


def test_the_token_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert read_token(file) == "from-file"
    assert read_token(None) is None

    monkeypatch.setenv("CGRSEG_TOKEN", "from-environment")

    assert read_token(None) == "from-environment"
    assert read_token(file) == "from-file"


def test_an_empty_token_is_no_token(tmp_path):
    (tmp_path / "token").write_text("\n")

    with pytest.raises(CGRSegError, match="holds no token"):
        read_token(tmp_path / "token")


def test_the_token_is_in_no_description():
    assert "secret" not in repr(ServeConfig(weights=("a",), token="secret"))
