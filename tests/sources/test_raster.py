import re
import sys

import numpy as np
import pytest
from PIL import Image
from support.rasters import blobs, damage, save_raster

from cgrseg.errors import ImageError, MissingExtra
from cgrseg.sources import raster as module
from cgrseg.sources.raster import Box, is_raster, open_raster

NO_PLACE = {"crs": None, "transform": None}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_tiff_with_a_place_on_earth_is_a_raster(tmp_path):
    assert is_raster(save_raster(tmp_path / "placed.tif", blobs(40, 60)))
    assert is_raster(save_raster(tmp_path / "crs.tif", blobs(40, 60), transform=None))
    assert is_raster(save_raster(tmp_path / "many_bands.tif", np.zeros((40, 60, 7), np.uint8)))


def test_a_photo_is_none_unless_it_is_too_large_to_be_decoded_whole(tmp_path, monkeypatch):
    for name in ("photo.jpg", "photo.png", "plain.tif"):
        Image.fromarray(blobs(40, 60)).save(tmp_path / name)
        assert not is_raster(tmp_path / name)

        with monkeypatch.context() as limit:
            limit.setattr(module, "MAX_PIXELS", 2_000)
            assert is_raster(tmp_path / name)


def test_pixels_that_pillow_refuses_make_a_raster(tmp_path, monkeypatch):
    Image.fromarray(blobs(40, 60)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)

    assert is_raster(tmp_path / "huge.png")


def test_what_is_no_image_is_left_to_others(tmp_path):
    (tmp_path / "text.tif").write_text("no image")

    assert not is_raster(tmp_path / "text.tif")
    assert not is_raster(tmp_path / "missing.tif")


def test_windows_are_read_with_the_pixels_that_hold_data(tmp_path):
    image = blobs(300, 400)
    image[100:200, 50:90] = 7
    with open_raster(save_raster(tmp_path / "a.tif", image, nodata=7)) as raster:
        window, valid = raster.read((90, 210), (40, 100))

    assert np.array_equal(window, image[90:210, 40:100])
    assert np.array_equal(valid, (window != 7).any(axis=2))


def test_transparent_pixels_hold_no_data(tmp_path):
    alpha = np.full((40, 60, 1), 255, np.uint8)
    alpha[:10] = 0
    file = save_raster(
        tmp_path / "a.tif", np.concatenate([blobs(40, 60), alpha], axis=2), photometric="RGB", alpha="yes"
    )

    with open_raster(file) as raster:
        _, valid = raster.read((0, 40), (0, 60))

    assert not valid[:10].any()
    assert valid[10:].all()


def test_a_raster_is_seen_in_another_size(tmp_path):
    image = blobs(64, 96, step=8)
    with open_raster(save_raster(tmp_path / "a.tif", image)) as raster:
        small, valid = raster.read_resized((4, 8), (2, 12), (8, 12))

    assert np.array_equal(small, image[36:64:8, 20::8])
    assert valid.all()


def test_three_bands_are_chosen(tmp_path):
    image = np.concatenate([blobs(20, 30), blobs(20, 30, seed=1)], axis=2)
    with open_raster(save_raster(tmp_path / "a.tif", image), (5, 1, 3)) as raster:
        window, _ = raster.read((0, 20), (0, 30))

    assert np.array_equal(window, image[..., [4, 0, 2]])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_other_bands_than_three_are_named(count, tmp_path):
    file = save_raster(tmp_path / "a.tif", np.zeros((20, 30, count), np.uint8))

    with (
        pytest.raises(ImageError, match=r"a\.tif has (one band|\d bands) \(1 gray.*; choose three") as raised,
        open_raster(file),
    ):
        pass

    assert raised.value.setting == "bands"


@pytest.mark.parametrize("bands", [(1, 2), (1, 2, 4), (0, 1, 2)])
def test_bands_that_are_not_there_are_refused(bands, tmp_path):
    file = save_raster(tmp_path / "a.tif", blobs(20, 30))

    with pytest.raises(ImageError, match=r"are not three of .*it has 1 red, 2 green, 3 blue"), open_raster(file, bands):
        pass


def test_deep_values_are_refused_in_one_sentence(tmp_path):
    file = save_raster(tmp_path / "a.tif", blobs(20, 30).astype(np.uint16))

    with pytest.raises(ImageError, match="values of type uint16; rasters need 8 bits"), open_raster(file):
        pass


def test_a_damaged_block_holds_no_data_and_is_named(tmp_path):
    image = blobs(600, 700)
    file = damage(save_raster(tmp_path / "a.tif", image), row=300, column=520)
    with open_raster(file) as raster:
        window, valid = raster.read((200, 600), (100, 700))
        lost = np.zeros((600, 700), bool)
        lost[256:512, 512:700] = True

        assert raster.damaged == [Box((256, 512), (512, 700))]
        assert str(raster.damaged[0]) == "rows 256 to 511, columns 512 to 699"
    assert np.array_equal(valid, ~lost[200:, 100:])
    assert np.array_equal(window[valid], image[200:, 100:][valid])


def test_little_is_lost_around_damage_when_the_size_is_another(tmp_path):
    file = damage(save_raster(tmp_path / "a.tif", blobs(600, 700)), row=300, column=520)
    with open_raster(file) as raster:
        _, valid = raster.read_resized((0, 300), (0, 350), (300, 350))

    assert not valid[130:254, 260:].any()
    assert valid.mean() > 0.75


def test_a_file_that_gdal_cannot_open_is_named(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0 cut short")

    with (
        pytest.raises(ImageError, match=re.escape("a.tif cannot be opened as a raster")),
        open_raster(tmp_path / "a.tif"),
    ):
        pass


def test_without_rasterio_the_extra_is_named(tmp_path, monkeypatch):
    file = save_raster(tmp_path / "a.tif", blobs(20, 30))
    monkeypatch.setitem(sys.modules, "rasterio", None)

    assert is_raster(file)
    with pytest.raises(MissingExtra, match=r"pip install 'cgrseg\[geo\]'"), open_raster(file):
        pass
