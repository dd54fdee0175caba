import json
import tracemalloc

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.shutil import copy
from support.colour_engine import ColourEngine, colour_info, flag
from support.rasters import UTM, blobs, damage, save_raster

from cgrseg.errors import CGRSegError, ImageError
from cgrseg.labelmap import label_map
from cgrseg.predictor import Segmenter, raster_files
from cgrseg.predictor import raster as module
from cgrseg.predictor.protocols import PRESETS
from cgrseg.predictor.raster import RasterSettings, segment_raster
from cgrseg.sources.raster import Box

SMALL = RasterSettings(tile_px=128)


@pytest.fixture
def segmenter():
    return Segmenter(ColourEngine(), colour_info())


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of 256 rows in strips of 256 columns."""
    for home in (module, raster_files):
        monkeypatch.setattr(home, "BLOCK", 256)
    monkeypatch.setattr(module, "STRIP_PX", 384)


def labels_of(file):
    with rasterio.open(file) as dataset:
        return dataset.read(1)


def whole(image):
    size = image.shape[0], image.shape[1]
    return label_map(ColourEngine()(image.transpose(2, 0, 1)[None].astype(np.float32))[0], size, size)


@pytest.mark.parametrize("size", [(5, 9), (128, 300), (531, 700)])
def test_tiles_give_the_labels_of_the_whole_image(size, segmenter, small_parts, tmp_path):
    image = blobs(*size)
    result = segment_raster(segmenter, save_raster(tmp_path / "a.tif", image), tmp_path / "out/a", SMALL)

    assert (labels_of(result.file) == whole(image)).mean() > 0.999  # sums of 32-bit floats round


def test_the_result_lies_where_the_raster_does(segmenter, tmp_path):
    result = segment_raster(segmenter, save_raster(tmp_path / "a.tif", flag(530, 600)), tmp_path / "out/a", SMALL)

    with rasterio.open(result.file) as dataset:
        assert dataset.crs == rasterio.crs.CRS.from_string(UTM["crs"])
        assert dataset.transform == UTM["transform"]
        assert (dataset.nodata, dataset.dtypes, dataset.compression.name) == (255, ("uint8",), "deflate")
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.overviews(1) == [2]
        assert dataset.colormap(1)[2] == (0, 0, 255, 255)
        assert dataset.tags(1)["class_2"] == "blue"
        copy(dataset, tmp_path / "copy.vrt", driver="VRT")
    assert "<Category>blue</Category>" in (tmp_path / "copy.vrt").read_text()  # as GDAL read it


def test_the_summary_has_areas_on_the_ground_and_a_drawing_lies_beside(segmenter, tmp_path):
    segment_raster(segmenter, save_raster(tmp_path / "a.tif", flag(64, 96)), tmp_path / "out/a", SMALL)

    summary = json.loads((tmp_path / "out/a.json").read_text())
    assert [row["name"] for row in summary["classes"]] == ["red", "blue"]
    assert summary["classes"][0]["square_metres"] == 64 * 48 * 0.25
    assert summary["classes"][0]["area"] == 0.5
    assert 0.9 < summary["confidence"] <= 1
    with Image.open(tmp_path / "out/a_overlay.png") as drawing:
        assert max(drawing.size) <= 2048
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        *("a.json", "a.tif", "a.tif.aux.xml", "a_overlay.png")
    ]


def test_pixels_without_data_get_no_label_and_empty_tiles_are_not_run(segmenter, small_parts, tmp_path):
    image = np.zeros((400, 700, 3), np.uint8)
    image[100:140, 200:260] = blobs(40, 60)

    result = segment_raster(segmenter, save_raster(tmp_path / "a.tif", image, nodata=0), tmp_path / "out/a", SMALL)

    assert np.array_equal(labels_of(result.file) != 255, image.any(axis=2))
    assert len(segmenter.engine.seen) <= 9 * 2  # those that touch the data, in two strips


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.77, 2.0])
def test_a_raster_is_seen_at_another_scale(scale, segmenter, small_parts, tmp_path):
    image = blobs(460, 530, step=64)
    image[:50, :70] = 0
    file = save_raster(tmp_path / "a.tif", image, nodata=0)

    result = segment_raster(segmenter, file, tmp_path / "out/a", RasterSettings(tile_px=128, scale=scale))

    labels = labels_of(result.file)
    inner = np.zeros((64, 64), bool)
    inner[24:40, 24:40] = True  # away from the borders between colours, which the grid blurs
    inner = np.tile(inner, (8, 9))[:460, :530] & image.any(axis=2)
    assert np.array_equal(labels == 255, ~image.any(axis=2))
    assert (labels == image.argmax(axis=2))[inner].mean() > 0.98


def test_memory_does_not_grow_with_the_raster(segmenter, small_parts, monkeypatch, tmp_path):
    monkeypatch.setattr(raster_files, "VIEW_PX", 256)

    settings = RasterSettings(tile_px=256)

    def peak(height, width):
        file = save_raster(tmp_path / f"{height}x{width}.tif", np.full((height, width, 3), 90, np.uint8))
        tracemalloc.start()
        segment_raster(segmenter, file, tmp_path / f"out/{height}x{width}", settings)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    smallest = min(peak(512, 512), peak(512, 512))  # the first compiles
    assert peak(1_536, 512) < 1.25 * smallest
    assert peak(512, 1_536) < 1.25 * smallest


def test_a_damaged_block_is_named_and_has_no_labels(segmenter, small_parts, tmp_path):
    image = blobs(600, 700)
    file = damage(save_raster(tmp_path / "a.tif", image), row=300, column=520)

    result = segment_raster(segmenter, file, tmp_path / "out/a", SMALL)

    lost = np.zeros((600, 700), bool)
    lost[256:512, 512:700] = True
    assert result.damaged == (Box((256, 512), (512, 700)),)
    assert np.array_equal(labels_of(result.file) == 255, lost)
    assert json.loads((tmp_path / "out/a.json").read_text())["damaged"] == [{"rows": [256, 512], "columns": [512, 700]}]


def test_progress_is_told(segmenter, small_parts, tmp_path):
    told = []
    file = save_raster(tmp_path / "a.tif", flag(300, 300))

    segment_raster(segmenter, file, tmp_path / "out/a", SMALL, lambda *numbers: told.append(numbers))

    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_nothing_is_replaced_but_results(segmenter, tmp_path):
    file = save_raster(tmp_path / "a.tif", flag(64, 64))
    with pytest.raises(ImageError, match="is one of the images, and a result would replace it"):
        segment_raster(segmenter, file, tmp_path / "a", SMALL)

    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.tif").write_text("mine")
    with pytest.raises(ImageError, match=r"a\.tif exists, and is not the result of an earlier prediction"):
        segment_raster(segmenter, file, tmp_path / "out/a", SMALL)

    segment_raster(segmenter, file, tmp_path / "other/a", SMALL)
    segment_raster(segmenter, file, tmp_path / "other/a", SMALL)


@pytest.mark.parametrize("scale", [0.0, -1.0, 17.0, float("nan")])
def test_scales_out_of_range_are_refused(scale):
    with pytest.raises(CGRSegError, match="is not from 1/64 to 16") as raised:
        RasterSettings(scale=scale)

    assert raised.value.setting == "scale"


def test_protocols_of_photos_are_refused(tmp_path):
    segmenter = Segmenter(ColourEngine(), colour_info(), protocol=PRESETS["multi-scale"])

    with pytest.raises(CGRSegError, match="rasters are seen in tiles of their own"):
        segment_raster(segmenter, tmp_path / "a.tif", tmp_path / "out/a")
