from dataclasses import replace

import numpy as np
import pytest
from support.colour_engine import ColourEngine, colour_info, flag

from cgrseg.errors import ExportError
from cgrseg.exporting.parity import FACTORS, compare
from cgrseg.predictor import Segmenter


class Rotten(ColourEngine):
    """Sees red in the top rows of everything."""

    name = "rotten"

    def __init__(self, rows: float, metadata: dict[str, str] | None = None) -> None:
        super().__init__()
        self.rows, self.metadata = rows, metadata or {}

    def __call__(self, images: np.ndarray) -> np.ndarray:
        logits = super().__call__(images)
        logits[:, 0, : round(self.rows * logits.shape[2])] = 1000
        return logits


def compared(engine: ColourEngine, tmp_path, data=None):
    file = tmp_path / "exported.onnx"
    file.write_bytes(bytes(2_000_000))
    info = colour_info(short_px=256, long_px=1024)
    return compare(Segmenter(ColourEngine(), info), Segmenter(engine, info), file, [flag(256, 320)], data)


def test_a_file_that_gives_the_same_agrees_at_every_size(tmp_path):
    parity = compared(ColourEngine(), tmp_path)

    assert parity.agrees
    assert [size.short_px for size in parity.sizes] == [256 * factor // 8 * 8 for factor in FACTORS[:3]] + [360]
    assert {(size.equal, size.difference) for size in parity.sizes} == {(1.0, 0.0)}
    assert parity.megabytes == 2.0


def test_a_file_that_gives_other_labels_is_refused_with_how_many(tmp_path):
    parity = compared(Rotten(rows=1 / 32), tmp_path)

    assert 0.96 < parity.equal < 0.99  # half of the top was red before
    with pytest.raises(ExportError, match=r"refused: only 9[78].* % of labels .* 99\.99 % are needed"):
        parity.require_agreement()


def test_int8_may_differ_more(tmp_path):
    parity = compared(Rotten(rows=0, metadata={"int8": "{}"}), tmp_path)

    few = tuple(replace(size, equal=0.995) for size in parity.sizes)

    assert replace(parity, sizes=few).agrees
    assert not replace(parity, sizes=few, is_int8=False).agrees


def test_a_score_that_falls_is_refused_too(tmp_path):
    parity = replace(compared(ColourEngine(), tmp_path), miou=(0.70, 0.694))

    with pytest.raises(ExportError, match=r"refused: mIoU falls by 0\.60 points, 0\.5 are allowed"):
        parity.require_agreement()


def test_the_report_is_plain_values(tmp_path):
    tree = compared(ColourEngine(), tmp_path).as_tree()

    assert tree["labels_equal"] == 1.0
    assert tree["speedup"] == pytest.approx(tree["torch_latency_ms"] / tree["latency_ms"])
    assert tree["sizes"][0].keys() == {"short_px", "pictures", "equal", "difference", "largest"}
