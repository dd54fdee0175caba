from typing import get_args

import pytest
from click.testing import CliRunner

from cgrseg.cli import commands
from cgrseg.cli.export import table
from cgrseg.config import ExportTarget
from cgrseg.exporting import SUFFIXES
from cgrseg.exporting.parity import Parity, SizeParity


def test_the_targets_are_those_of_the_library():
    assert set(get_args(ExportTarget)) == set(SUFFIXES)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", "openvino", "--int8"], "--int8 and --calibrate KIND=PATH go together"),
        (["--to", "trt"], "'trt' is not one of"),
        (["--to", "onnx", "--data", "nonsense"], "names no layout"),
    ],
)
def test_a_wrong_use_is_explained_in_one_sentence(arguments, sentence):
    result = CliRunner().invoke(commands, ["export", "cgrseg-t-camvid", *arguments])

    assert result.exit_code == 2
    assert sentence in result.output


def test_a_file_of_another_suffix_is_refused_before_anything_is_done(tmp_path):
    result = CliRunner().invoke(commands, ["export", "cgrseg-t-camvid", "--to", "onnx", "-o", str(tmp_path / "a.pt")])

    assert "a file for onnx ends in .onnx" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_the_table_says_what_agrees_and_what_it_gains(capsys):
    from rich.console import Console

    size = SizeParity(short_px=512, images=3, equal=0.99951, difference=0.5, largest=20.0)
    parity = Parity(
        engine="openvino",
        is_int8=True,
        sizes=(size,),
        megabytes=11.6,
        latency_ms=50.0,
        torch_ms=150.0,
        miou=(0.695, 0.693),
        in_floats=("head",),
    )

    Console(width=100).print(table(parity))

    printed = capsys.readouterr().out
    for text in ("INT8, head in floats", "512 px", "99.9510", "3.00 x", "11.6 MB", "mIoU 69.30 %, PyTorch 69.50 %"):
        assert text in printed
