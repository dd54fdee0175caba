"""Tones: images of more than 8 bits by their levels, levels by their images, and what holds no data."""

import io
import logging

import cv2
import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from cgrseg.data import tones
from cgrseg.data.images import decode_image, read_image, read_tones
from cgrseg.data.tones import ToneRange, fit_levels

RNG = np.random.default_rng(0)
GRAY_8 = RNG.integers(0, 256, (12, 16), np.uint8)
RGB_8 = RNG.integers(0, 256, (12, 16, 3), np.uint8)
TWELVE_BITS = (0.0, 4095.0)


def twelve_bits(values):
    return np.rint(values.astype(float) * 4095 / 255).astype(np.uint16)


def tiff(values, nodata=None):
    file = io.BytesIO()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if nodata is not None:
        tags[tones.NODATA_TAG] = nodata
        tags.tagtype[tones.NODATA_TAG] = 2
    Image.fromarray(values).save(file, "TIFF", tiffinfo=tags)
    return file.getvalue()


def deep(values, suffix):
    """The file of an RGB or gray image of 16 bits."""
    stored = values[..., ::-1] if values.ndim == 3 and values.shape[2] == 3 else values
    return cv2.imencode(suffix, stored)[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_12_bit_colours_by_their_levels_are_those_of_8_bits(suffix):
    image = decode_image(deep(twelve_bits(RGB_8), suffix), "deep", TWELVE_BITS)

    assert np.array_equal(image, RGB_8)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_12_bit_gray_by_its_levels_is_that_of_8_bits(suffix):
    image = decode_image(deep(twelve_bits(GRAY_8), suffix), "deep", TWELVE_BITS)

    assert np.array_equal(image, GRAY_8[..., None].repeat(3, axis=2))


def test_levels_leave_images_of_8_bits_alone():
    assert np.array_equal(decode_image(deep(RGB_8, ".png"), "shallow", TWELVE_BITS), RGB_8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colours_are_turned_upright_like_shallow_ones(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    shallow, colours = io.BytesIO(), deep(twelve_bits(RGB_8), ".png")
    Image.fromarray(RGB_8).save(shallow, "PNG", exif=exif)
    chunk = shallow.getvalue()[shallow.getvalue().index(b"eXIf") - 4 :]
    chunk = chunk[: 12 + int.from_bytes(chunk[:4], "big")]

    image = decode_image(colours[:33] + chunk + colours[33:], "deep", TWELVE_BITS)

    assert np.array_equal(image, decode_image(shallow.getvalue(), "shallow"))


def test_values_beyond_the_levels_are_black_and_white():
    image = decode_image(deep(np.array([[0, 1000, 2000, 3000, 60_000]], np.uint16), ".png"), "deep", (1000.0, 3000.0))

    assert image[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_opacity_of_deep_colours_is_over_white():
    values = np.dstack([twelve_bits(RGB_8)[..., ::-1], np.full(RGB_8.shape[:2], 65_535, np.uint16)])
    values[0, 0, 3] = 0

    image = decode_image(cv2.imencode(".png", values)[1].tobytes(), "deep", TWELVE_BITS)

    assert image[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(image[1:], RGB_8[1:])


def test_deep_colours_that_are_cut_short_are_refused():
    with pytest.raises(tones.ImageError, match="cut short"):
        decode_image(deep(twelve_bits(RGB_8), ".png")[:200], "deep", TWELVE_BITS)


@pytest.mark.parametrize(
    ("values", "nodata"),
    [
        (np.array([[-9999, 0, 100, 200]], np.int32), None),
        (np.array([[-32_768.0, 0.0, 100.0, 200.0]], np.float32), None),
        (np.array([[np.nan, 0.0, 100.0, 200.0]], np.float32), None),
        (np.array([[-3.4028235e38, 0.0, 100.0, 200.0]], np.float32), "-3.4028234663852886e+38"),
        (np.array([[1e20, 0.0, 100.0, 200.0]], np.float32), None),
        (np.array([[150.0, 0.0, 100.0, 200.0]], np.float32), "150"),
        (np.array([[7, 0, 100, 200]], np.int32), "7 \0"),
    ],
)
def test_pixels_without_data_are_black_and_do_not_stretch_the_others(tmp_path, values, nodata):
    file = tmp_path / "map.tif"
    file.write_bytes(tiff(values, nodata))

    measured = read_tones(file)

    assert read_image(file)[0, :, 0].tolist() == [0, 0, 100, 200]
    assert measured == ToneRange(0.0, 200.0, values.dtype.kind == "f", has_nodata=True)


def test_a_declared_nodata_of_16_and_8_bits_is_black():
    deep_tiff = tiff(np.array([[65_535, 40_000]], np.uint16), "65535")
    shallow = tiff(np.array([[255, 200]], np.uint8), "255")

    assert decode_image(deep_tiff, "deep")[0, :, 0].tolist() == [0, 156]
    assert decode_image(shallow, "shallow")[0, :, 0].tolist() == [0, 200]


def test_the_largest_16_bit_value_is_a_fill_value_where_all_others_are_small(tmp_path):
    file = tmp_path / "deep.tif"
    file.write_bytes(tiff(np.array([[65_535, 0, 4095]], np.uint16)))

    assert read_tones(file) == ToneRange(0.0, 4095.0, is_float=False, has_nodata=True)
    assert read_image(file, levels=TWELVE_BITS)[0, :, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("low", "high", "is_float", "levels"),
    [
        (0, 200, False, (0, 255)),
        (3, 900, False, (0, 1023)),
        (0, 3987, False, (0, 4095)),
        (0, 4096, False, (0, 16_383)),
        (500, 60_000, False, (0, 65_535)),
        (7012, 8431, False, (7010, 8440)),
        (-250, 3000, False, (-250, 4095)),
        (-9, 3000, False, (0, 4095)),
        (0, 0.97, True, (0, 1)),
        (0, 0.123, True, (0, 0.123)),
        (271.3, 318.7, True, (271, 319)),
        (0, 1_234_567, True, (0, 1_240_000)),
        (5, 5, True, (5, 6)),
    ],
)
def test_levels_fit_the_depth_that_holds_the_values(low, high, is_float, levels):
    assert fit_levels([ToneRange(float(low), float(high), is_float, has_nodata=False)]) == pytest.approx(levels)


def test_a_hot_pixel_does_not_change_the_range(tmp_path):
    values = np.full((200, 200), 3000, np.uint16)
    values[50, 50] = 61_000
    (tmp_path / "hot.png").write_bytes(deep(values, ".png"))

    assert read_tones(tmp_path / "hot.png").high == 3000


def test_a_dark_image_without_levels_is_told_once(caplog):
    tones._warned.clear()

    with caplog.at_level(logging.WARNING):
        for name in ("first.png", "second.png"):
            decode_image(deep(np.array([[0, 4001]], np.uint16), ".png"), name)
            decode_image(deep(twelve_bits(RGB_8), ".png"), name)

    (message,) = caplog.messages
    assert "first.png: its largest value is 4,001" in message
    assert "12-bit" in message
    assert "levels of 0 and 4095" in message


@pytest.mark.parametrize("values", [np.array([[0, 40_000]], np.uint16), RGB_8, np.array([[0, 200]], np.int32)])
def test_an_image_that_is_bright_enough_gives_no_warning(caplog, values):
    tones._warned.clear()

    with caplog.at_level(logging.WARNING):
        decode_image(tiff(values), "bright.tif")

    assert caplog.messages == []
