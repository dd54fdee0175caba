import json

import numpy as np
import rasterio
from support.rasters import blobs, damage, save_raster


def test_a_raster_becomes_a_geotiff_among_photos(run, weights, images, tmp_path):
    save_raster(images / "ortho.tif", blobs(60, 80))

    result = run("predict", images, "-w", weights, "-o", tmp_path / "out", "--engine", "torch")

    assert result.code == 0
    assert sorted(line.split("/")[-1] for line in result.out.splitlines()) == ["one.png", "ortho.tif", "two.png"]
    assert "3 of 3 images" in result.err
    with rasterio.open(tmp_path / "out/ortho.tif") as dataset:
        assert (dataset.shape, dataset.crs.to_epsg()) == ((60, 80), 32632)


def test_bands_scale_and_polygons_are_taken(run, weights, tmp_path):
    image = np.concatenate([blobs(60, 80), blobs(60, 80, seed=1)], axis=2)
    file = save_raster(tmp_path / "ms.tif", image)
    given = ("-w", weights, "-o", tmp_path / "out", "--scale", "0.5", "--polygons", tmp_path / "a.geojson")

    without = run("predict", file, *given)
    result = run("predict", file, *given, "--bands", "6,4,2")

    assert without.code == 1
    assert "ms.tif has 6 bands (1 " in without.err
    assert "(--bands)" in without.err
    assert result.code == 0
    assert json.loads((tmp_path / "a.geojson").read_text())["features"]


def test_damage_is_named_and_ends_with_3(run, weights, tmp_path):
    file = damage(save_raster(tmp_path / "a.tif", blobs(300, 300)), row=0, column=0)

    result = run("predict", file, "-w", weights, "-o", tmp_path / "out")

    assert result.code == 3
    assert "a.tif: the block of rows 0 to 255, columns 0 to 255 cannot be decoded; it has no labels" in result.err
    assert (tmp_path / "out/a.tif").exists()
    assert "GDAL" not in result.err


def test_a_raster_that_cannot_be_read_does_not_stop_the_rest(run, weights, tmp_path):
    (tmp_path / "in").mkdir()
    save_raster(tmp_path / "in" / "deep.tif", blobs(60, 80).astype(np.uint16))
    save_raster(tmp_path / "in" / "good.tif", blobs(60, 80))

    result = run("predict", tmp_path / "in", "-w", weights, "-o", tmp_path / "out")

    assert result.code == 3
    assert "deep.tif holds values of type uint16" in result.err
    assert result.out.split() == [str(tmp_path / "out/good.tif")]


def test_a_single_raster_that_cannot_be_read_does_not_stop_the_photos(run, weights, images, tmp_path):
    save_raster(images / "deep.tif", blobs(60, 80).astype(np.uint16))

    result = run("predict", images, "-w", weights, "-o", tmp_path / "out")

    assert result.code == 3
    assert "deep.tif holds values of type uint16" in result.err
    assert sorted(line.split("/")[-1] for line in result.out.splitlines()) == ["one.png", "two.png"]


def test_an_option_for_rasters_makes_a_raster_of_any_image(run, weights, images, tmp_path):
    result = run("predict", images / "one.png", "-w", weights, "-o", tmp_path / "out", "--scale", "1")

    assert result.code == 0
    assert (tmp_path / "out/one.tif").exists()


def test_options_that_do_not_fit_are_refused(run, weights, images, tmp_path):
    file = save_raster(tmp_path / "a.tif", blobs(60, 80))
    out = ("-w", weights, "-o", tmp_path / "out")

    formats = run("predict", file, *out, "--format", "coco")
    several = run("predict", images, *out, "--polygons", tmp_path / "a.geojson")
    bands = run("predict", file, *out, "--bands", "red")

    assert (formats.code, several.code, bands.code) == (2, 2, 2)
    assert "--format is for photos" in formats.err
    assert "--polygons is for one raster, and there are 2" in several.err
    assert "'red' is not three numbers" in bands.err
