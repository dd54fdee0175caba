"""Decoding: any file a person has becomes RGB uint8, or one sentence."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cgrseg.data.images import (
    decode_image,
    find_images,
    read_image,
    read_label_map,
    read_size,
    resize_image,
    resize_labels,
    write_image,
    write_palette_png,
)
from cgrseg.errors import ImageError

GOOD = {
    "01_rgb_photo.jpg": (360, 480),
    "02_gray.jpg": (128, 128),
    "04_exif_orientation6.jpg": (128, 128),
    "06_rgba.png": (150, 162),
    "08_gray16_trns.png": (64, 64),
    "10_animated.gif": (245, 245),
    "20_multi_picture.mpo": (480, 640),
    "30_street_truck.jpg": (1200, 1800),
    "40_tiny_30x20.jpg": (20, 30),
    "42_1x1.png": (1, 1),
    "52_exif6_photo.jpg": (512, 683),
}
BROKEN = {
    "14_truncated_ultrahdr_1512x2688.jpg": "cut short",
    "16_broken_data_stream.png": "damaged",
    "17_broken.png": "its header is damaged",
    "19_decompression_bomb.gif": "claims more than 178,956,970 pixels",
    "46_truncated.jpg": "cut short",
    "47_empty.jpg": r"is empty \(0 bytes\)",
    "48_text_named.jpg": "holds text, not an image",
}


def encoded(image, suffix="png", **options):
    file = io.BytesIO()
    image.save(file, format={"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()), **options)
    return file.getvalue()


def test_the_odd_files_are_all_accounted_for(shared_data):
    names = {file.name for file in (shared_data / "odd_images").iterdir()} - {"MANIFEST.tsv"}

    assert names == set(GOOD) | set(BROKEN)


@pytest.mark.parametrize("name", GOOD)
def test_an_odd_but_good_file_becomes_rgb_of_its_upright_size(shared_data, name):
    path = shared_data / "odd_images" / name

    image = read_image(path)

    assert image.dtype == np.uint8
    assert image.shape == (*GOOD[name], 3)
    assert read_size(path) == GOOD[name]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gives_one_sentence_that_names_it(shared_data, name):
    with pytest.raises(ImageError, match=BROKEN[name]) as raised:
        read_image(shared_data / "odd_images" / name)

    assert name in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not str(raised.value).endswith(".")


def test_an_image_is_turned_upright():
    lying = np.zeros((2, 3, 3), np.uint8)
    lying[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6

    upright = decode_image(encoded(Image.fromarray(lying), exif=exif.tobytes()), "lying.png")

    assert upright.shape == (3, 2, 3)
    assert upright[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_gray_is_scaled_and_not_cut(suffix):
    values = np.array([[0, 257, 128 * 257 + 129, 65535]], np.uint16)

    image = decode_image(encoded(Image.fromarray(values), suffix), "deep")

    assert image[..., 0].tolist() == [[0, 1, 129, 255]]
    assert (image == image[..., :1]).all()


@pytest.mark.parametrize(
    ("values", "tones"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 200.0]], np.float32), [0, 100, 200]),
        (np.array([[-3.0, np.nan, 0.0, 3.0]], np.float32), [0, 0, 128, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[0, 1, 200]], np.int32), [0, 1, 200]),
        (np.array([[7.5, 7.5, 7.5]], np.float32) * 1e6, [0, 0, 0]),
    ],
)
def test_numbers_without_an_agreed_white_take_the_smallest_usual_range(values, tones):
    image = decode_image(encoded(Image.fromarray(values), "tif"), "numbers.tif")

    assert image[0, :, 0].tolist() == tones


def test_what_is_transparent_becomes_white():
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)

    image = decode_image(encoded(Image.fromarray(pixels)), "cut-out.png")

    assert image.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_a_transparent_palette_colour_and_a_transparent_deep_gray_become_white():
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([9, 8, 7, 200, 100, 50])
    deep = encoded(Image.fromarray(np.array([[0, 65535, 2570]], np.uint16)), transparency=2570)

    image = decode_image(encoded(palette, transparency=1), "palette.png")
    gray = decode_image(deep, "deep.png")

    assert image.tolist() == [[[9, 8, 7], [255, 255, 255]]]
    assert gray[0, :, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("1", "png"), ("L", "webp"), ("LA", "png"), ("CMYK", "jpg"), ("P", "gif")]
)
def test_a_white_image_is_white_in_every_mode(mode, suffix):
    image = decode_image(encoded(Image.new("RGB", (5, 4), "white").convert(mode), suffix), f"white.{suffix}")

    assert image.shape == (4, 5, 3)
    assert (image >= 254).all()


@pytest.mark.parametrize("own_limit", [None, 10**6])
def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch, own_limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", own_limit)
    header = encoded(Image.new("RGB", (1, 1)))
    chunk = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + header[24:29]
    checksum = PngImagePlugin._crc32(chunk).to_bytes(4, "big")

    with pytest.raises(ImageError, match=r"bomb\.png claims more than 178,956,970 pixels"):
        decode_image(header[:12] + chunk + checksum + header[33:], "bomb.png")


def test_a_large_image_is_read_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)

    with warnings.catch_warnings(record=True) as caught:
        image = decode_image(encoded(Image.new("L", (15, 10), 7)), "large.png")

    assert image.shape == (10, 15, 3)
    assert caught == []


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.jpg: no such file"):
        read_image(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_gray_label_map_keeps_its_numbers_whatever_its_depth(tmp_path, bits):
    values = (np.arange(8) % 2**bits).astype(np.uint8)[None]
    path = tmp_path / "labels.png"
    path.write_bytes(gray_png(values, bits))

    assert read_label_map(path).tolist() == values.tolist()


def gray_png(values, bits):
    """A PNG of few bits a pixel, which Pillow itself does not write."""
    import struct
    import zlib

    row = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(len(values), -1)
    scan = b"".join(b"\0" + np.packbits(line).tobytes() for line in row)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(scan)), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_palette_label_map_keeps_its_numbers_and_shows_its_colours(tmp_path):
    labels = np.array([[0, 1, 255], [1, 1, 0]], np.uint8)
    path = tmp_path / "labels.png"

    write_palette_png(path, labels, ((10, 20, 30), (40, 50, 60)))

    assert read_label_map(path).tolist() == labels.tolist()
    assert read_image(path)[0].tolist() == [[10, 20, 30], [40, 50, 60], [0, 0, 0]]
    assert [file.name for file in tmp_path.iterdir()] == ["labels.png"]


def test_labels_above_255_are_written_as_16_bit_gray(tmp_path):
    labels = np.array([[0, 300, 65535]], np.uint16)

    write_palette_png(tmp_path / "labels.png", labels, ())

    read = read_label_map(tmp_path / "labels.png")
    assert read.dtype == np.uint16
    assert read.tolist() == labels.tolist()


@pytest.mark.parametrize(("mode", "suffix", "sentence"), [("RGB", "png", "holds colours"), ("L", "jpg", "is a JPEG")])
def test_labels_that_are_colours_or_lossy_are_refused_with_advice(tmp_path, mode, suffix, sentence):
    path = tmp_path / f"labels.{suffix}"
    path.write_bytes(encoded(Image.new(mode, (3, 2)), suffix))

    with pytest.raises(ImageError, match=f"{sentence}.*8-bit gray or palette PNG"):
        read_label_map(path)


def test_an_image_shrinks_without_antialiasing_and_labels_take_the_nearest():
    row = np.array([0, 0, 100, 200, 0, 0, 0, 0], np.uint8)
    image = np.repeat(np.tile(row, (4, 1))[..., None], 3, axis=2)
    labels = np.tile(row, (4, 1))

    small, nearest = resize_image(image, (4, 2)), resize_labels(labels, (4, 4))

    assert small[0, :, 0].tolist() == [50, 0]  # pixels 1.5 and 5.5 of the row, nothing further away
    assert nearest[0].tolist() == [0, 100, 0, 0]


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg", "picture.tif", "picture.webp"])
def test_a_written_image_can_be_read_back(tmp_path, name):
    image = np.full((6, 7, 3), 90, np.uint8)

    write_image(tmp_path / name, image)

    assert np.abs(read_image(tmp_path / name).astype(int) - 90).max() <= 1


def test_an_image_that_cannot_be_written_leaves_the_old_one_whole(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def fail(self, file, **options):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(path, np.zeros((2, 2, 3), np.uint8))

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_suffix_without_a_format_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"no image format is written as '\.txt'"):
        write_image(tmp_path / "picture.txt", np.zeros((2, 2, 3), np.uint8))


@pytest.fixture
def album(tmp_path):
    for name in ("b.jpg", "a.PNG", "notes.txt", "._b.jpg", "below/c.webp", ".hidden/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("", ["a.PNG", "b.jpg", "below/c.webp"]),
        ("*", ["a.PNG", "b.jpg"]),
        ("**/*.webp", ["below/c.webp"]),
        ("notes.txt", ["notes.txt"]),
    ],
)
def test_images_are_found_by_file_folder_and_pattern(album, source, names):
    found = find_images(str(album / source))

    assert [file.relative_to(album).as_posix() for file in found] == names


def test_finding_no_image_is_an_error_that_says_what_was_looked_for(album):
    (album / "empty").mkdir()

    with pytest.raises(ImageError, match=r"empty: holds no images; images end in \.jpg"):
        find_images(album / "empty")
    with pytest.raises(ImageError, match="no such file or folder"):
        find_images(album / "*.bmp")
