import json

import numpy as np
import pytest
from rasterio.features import rasterize
from rasterio.transform import from_origin
from support.colour_engine import CLASSES, ColourEngine, colour_info, flag
from support.rasters import UTM, blobs, save_raster

from cgrseg.errors import ImageError
from cgrseg.predictor import Segmenter, raster_polygons
from cgrseg.predictor.raster import RasterSettings, segment_raster
from cgrseg.predictor.raster_polygons import require_free_polygons, write_polygons


def save_labels(file, labels, **settings):
    return save_raster(file, labels[..., None], nodata=255, **settings)


def polygons_of(file, labels, **settings):
    write_polygons(save_labels(file.with_suffix(".tif"), labels, **settings), file, CLASSES)
    return json.loads(file.read_text())


@pytest.mark.parametrize("side", [4_096, 48])
def test_polygons_cover_their_labels(side, monkeypatch, tmp_path):
    monkeypatch.setattr(raster_polygons, "SIDE", side)
    labels = np.ascontiguousarray(blobs(100, 130)[..., 0] % 4)
    labels[labels == 3] = 255

    tree = polygons_of(tmp_path / "a.geojson", labels)

    shapes = [(feature["geometry"], feature["properties"]["label"]) for feature in tree["features"]]
    assert np.array_equal(rasterize(shapes, labels.shape, fill=255, transform=UTM["transform"], dtype="uint8"), labels)
    for label in range(3):
        areas = [row["area_m2"] for row in (each["properties"] for each in tree["features"]) if row["label"] == label]
        assert sum(areas) == pytest.approx((labels == label).sum() * 0.25)


def test_a_region_has_its_class_its_holes_and_its_place(tmp_path):
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 10:30] = 2

    tree = polygons_of(tmp_path / "a.geojson", labels)

    outer, inner = sorted(tree["features"], key=lambda feature: feature["properties"]["label"])
    assert outer["properties"] == {"class": "red", "label": 0, "area_m2": (40 * 60 - 200) / 4}
    assert inner["properties"] == {"class": "blue", "label": 2, "area_m2": 50}
    assert len(outer["geometry"]["coordinates"]) == 2
    assert [500_005, 5_399_995] in inner["geometry"]["coordinates"][0]
    assert tree["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32632"


def test_longitude_and_latitude_need_no_reference_system(tmp_path):
    tree = polygons_of(
        tmp_path / "a.geojson", np.zeros((10, 10), np.uint8), crs="EPSG:4326", transform=from_origin(0, 0.1, 0.01, 0.01)
    )

    assert "crs" not in tree
    assert tree["features"][0]["properties"]["area_m2"] == pytest.approx(123.09e6, rel=1e-3)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_a_place_the_unit_is_pixels(tmp_path):
    tree = polygons_of(tmp_path / "a.geojson", np.zeros((10, 20), np.uint8), crs=None, transform=None)

    assert tree["features"][0]["properties"]["area_px"] == 200


def test_polygons_come_with_the_label_map(tmp_path):
    file = save_raster(tmp_path / "a.tif", flag(64, 96))
    segmenter, polygons = Segmenter(ColourEngine(), colour_info()), tmp_path / "new/a.geojson"

    segment_raster(segmenter, file, tmp_path / "out/a", RasterSettings(tile_px=128), polygons=polygons)

    features = json.loads(polygons.read_text())["features"]
    assert sorted(feature["properties"]["class"] for feature in features) == ["blue", "red"]
    require_free_polygons(polygons)


def test_only_results_are_replaced_and_only_geojson_is_written(tmp_path):
    (tmp_path / "mine.geojson").write_text('{"type": "FeatureCollection"}')

    with pytest.raises(ImageError, match="is not the result of an earlier prediction"):
        require_free_polygons(tmp_path / "mine.geojson")
    with pytest.raises(ImageError, match=r"a\.shp: polygons are written as GeoJSON"):
        require_free_polygons(tmp_path / "a.shp")
