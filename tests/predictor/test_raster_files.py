import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.colour_engine import ColourEngine, colour_info
from support.rasters import blobs, damage, save_raster

from cgrseg.errors import CGRSegError
from cgrseg.files import locked
from cgrseg.predictor import Segmenter
from cgrseg.predictor.raster import RasterSettings, segment_raster

ROOT = Path(__file__).parents[2]
SMALL = RasterSettings(tile_px=256)
KILLED = """
import os, signal, sys
from pathlib import Path
from support.colour_engine import ColourEngine, colour_info
from cgrseg.predictor import Segmenter
from cgrseg.predictor.raster import RasterSettings, segment_raster

class Killed(ColourEngine):
    def __call__(self, images):
        if len(self.seen) == 45:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(images)

segment_raster(Segmenter(Killed(), colour_info()), Path(sys.argv[1]), Path(sys.argv[2]), RasterSettings(tile_px=256))
"""


class Stopped(ColourEngine):
    """Is interrupted at a call."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def __call__(self, images):
        if len(self.seen) == self.at:
            raise KeyboardInterrupt
        return super().__call__(images)


def stop(file, base, at, settings=SMALL):
    with pytest.raises(KeyboardInterrupt):
        segment_raster(Segmenter(Stopped(at), colour_info()), file, base, settings)


def run(file, base, settings=SMALL):
    engine = ColourEngine()
    result = segment_raster(Segmenter(engine, colour_info()), file, base, settings)
    with rasterio.open(result.file) as dataset:
        return dataset.read(1), result.damaged, len(engine.seen)


def test_a_run_that_was_stopped_goes_on_to_the_same_result(tmp_path):
    file = damage(save_raster(tmp_path / "a.tif", blobs(1500, 700)), row=10, column=10)
    labels, damaged, calls = run(file, tmp_path / "whole/a")

    stop(file, tmp_path / "out/a", at=calls - 3)
    assert (tmp_path / "out/.a.tif.part/0.npz").exists()
    resumed, resumed_damage, fewer = run(file, tmp_path / "out/a")

    assert np.array_equal(resumed, labels)
    assert resumed_damage == damaged
    assert fewer < calls / 2
    assert not (tmp_path / "out/.a.tif.part").exists()
    assert (tmp_path / "out/a.json").read_bytes() == (tmp_path / "whole/a.json").read_bytes()
    assert (tmp_path / "out/a.tif").read_bytes() == (tmp_path / "whole/a.tif").read_bytes()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_result(tmp_path):
    file = save_raster(tmp_path / "a.tif", blobs(1500, 700))
    labels, _, calls = run(file, tmp_path / "whole/a")

    command = [sys.executable, "-c", KILLED, str(file), str(tmp_path / "out/a")]
    paths = os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests"))
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False)
    resumed, _, fewer = run(file, tmp_path / "out/a")

    assert killed.returncode == -signal.SIGKILL
    assert np.array_equal(resumed, labels)
    assert 0 < fewer < calls


def test_other_settings_or_another_raster_begin_anew(tmp_path):
    file = save_raster(tmp_path / "a.tif", blobs(1500, 300))
    other = RasterSettings(tile_px=128)
    labels, _, calls = run(file, tmp_path / "whole/a", other)

    stop(file, tmp_path / "out/a", at=15)
    resumed, _, again = run(file, tmp_path / "out/a", other)
    assert again == calls
    assert np.array_equal(resumed, labels)

    stop(file, tmp_path / "new/a", at=60, settings=other)
    save_raster(file, blobs(1500, 300, seed=9))
    _, _, again = run(file, tmp_path / "new/a", other)
    assert again == calls


def test_two_processes_do_not_write_one_result(tmp_path):
    file = save_raster(tmp_path / "a.tif", blobs(60, 60))
    holder = "import sys; from pathlib import Path; from cgrseg.files import locked\n"
    holder += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    folder = tmp_path / "out/.a.tif.part"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )
    with process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(CGRSegError, match=r"a\.tif is being written by another process"):
            run(file, tmp_path / "out/a")
        process.stdin.close()
    with locked(folder) as is_free:
        assert is_free
