import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from support.rasters import save_raster

from cgrseg.sources.ground import ground_of

SQUARE = np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]], np.float64)


def ground(tmp_path, crs, transform=None):
    file = save_raster(tmp_path / "a.tif", np.zeros((4, 6, 3), np.uint8), crs=crs, transform=transform)
    with rasterio.open(file) as dataset:
        return ground_of(dataset)


def test_metres_are_taken_as_they_are(tmp_path):
    place = ground(tmp_path, "EPSG:32632", from_origin(500_000, 5_400_000, 0.5, 0.5))

    assert place.unit == "m2"
    assert place.polygon_area([SQUARE * 10 + 500_000, SQUARE * 2 + 500_001]) == pytest.approx(96)
    assert place.row_areas((4, 6)) == pytest.approx(np.full(4, 0.25))


def test_feet_become_metres(tmp_path):
    place = ground(tmp_path, "EPSG:2263", from_origin(1_000_000, 200_000, 1, 1))  # New York, US survey feet

    assert place.polygon_area([SQUARE]) == pytest.approx(0.3048006**2, rel=1e-6)
    assert place.row_areas((4, 6)) == pytest.approx(np.full(4, 0.3048006**2), rel=1e-6)


def test_degrees_are_measured_on_the_ellipsoid(tmp_path):
    place = ground(tmp_path, "EPSG:4326", from_origin(0, 1, 1, 1))

    assert place.polygon_area([SQUARE]) == pytest.approx(12_308_778_361, rel=1e-4)  # the first degree from the equator
    assert place.row_areas((1, 1)) == pytest.approx([12_308_778_361], rel=1e-4)


def test_web_mercator_is_not_taken_for_metres(tmp_path):
    north = 8_399_737.89  # 60 degrees
    place = ground(tmp_path, "EPSG:3857", from_origin(0, north, 1, 1))

    assert place.polygon_area([SQUARE * 100 + [0, north]]) == pytest.approx(10_000 / 4, rel=0.01)


def test_without_a_reference_system_pixels_are_counted(tmp_path):
    place = ground(tmp_path, None, from_origin(0, 0, 3, 3))

    assert place.unit == "px"
