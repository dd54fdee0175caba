"""Reading and writing images: files become RGB uint8 arrays (H, W, 3), label files the numbers that they store.

    file, folder, pattern -> find_images, name_images
    bytes -> Pillow (size checked, first frame) -> EXIF rotation -> tones to 8 bit, alpha on white -> RGB uint8

Axes: H W image rows and columns.
"""

import glob
import io
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image as Pillow
from PIL import ImageFile, UnidentifiedImageError

from cgrseg.config import Levels
from cgrseg.data.tones import ToneRange, decode, tone_range
from cgrseg.errors import ImageError, reason
from cgrseg.files import readable, replacing
from cgrseg.types import IGNORE, Colour, Image, LabelMap, Size

MAX_PIXELS = 178_956_970
"""Largest image that is decoded (Pillow's own limit): a small file can claim a size that no memory holds."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".mpo", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".tga", ".avif"),
)
"""The suffixes of images in a folder or pattern; a file given by its path may have any suffix."""

PACKED_GRAY = {"1": 1, "L;2": 85, "L;4": 17}
"""The steps in which Pillow spreads gray values below 8 bits over 0..255."""


def read_image(path: Path, name: str = "", levels: Levels | None = None) -> Image:
    """Read the image in a file as upright RGB, uint8 of shape (height, width, 3).

    Args:
        path: the file.
        name: what errors call the image; its path unless given.
        levels: as for `decode_image`.

    Raises:
        ImageError: it cannot be read or decoded.
    """
    return decode_image(_read_bytes(path, name), name or str(path), levels)


def decode_image(
    data: bytes,
    name: str,
    levels: Levels | None = None,
    *,
    formats: tuple[str, ...] | None = None,
    most_pixels: int = MAX_PIXELS,
) -> Image:
    """Decode the bytes of an image file as upright RGB, uint8 of shape (height, width, 3).

    Args:
        data: the bytes.
        name: what errors call the image.
        levels: the black and white of more than 8 bits a channel; those of the type unless given, with a warning, once,
            where that makes it nearly black.
        formats: Pillow's names of the accepted formats; all unless given.
        most_pixels: largest number of pixels, checked against the header.

    Raises:
        ImageError: it cannot be decoded.
    """
    with _opened(data, name, formats, most_pixels) as image:
        return decode(image, data, name, levels)


def read_tones(path: Path) -> ToneRange | None:
    """The range of the values of the image in a file; None for 8 bits a channel, or without any valid pixel.

    Raises:
        ImageError: it cannot be read or decoded.
    """
    data = _read_bytes(path)
    with _opened(data, str(path)) as image:
        return tone_range(image, data, str(path))


def read_size(path: Path, name: str = "") -> Size:
    """Read the size (height, width) of the upright image in a file from its header only; `name` as in `read_image`."""
    with _opened(_read_bytes(path, name), name or str(path)) as image:
        is_turned = image.getexif().get(0x0112, 1) >= 5
        return (image.width, image.height) if is_turned else (image.height, image.width)


def read_label_map(path: Path) -> LabelMap:
    """Read the numbers that a label file stores: gray values or palette indices, never colours.

    Raises:
        ImageError: it cannot be read, or it holds colours or lossy values.
    """
    with _opened(_read_bytes(path), str(path)) as image:
        kept = "save the class numbers as an 8-bit gray or palette PNG"
        if image.format in ("JPEG", "MPO") or image.info.get("compression") in ("jpeg", "webp"):
            raise ImageError(f"{path} is a JPEG, which changes the numbers of a label map", advice=kept)
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I;16"):
            raise ImageError(f"{path} holds colours (mode {image.mode}) where class numbers are needed", advice=kept)
        step = PACKED_GRAY.get(_raw_mode(image))
        values = np.array(image)
    if values.dtype.itemsize == 2:
        return values.astype(np.uint16)
    return values.astype(np.uint8) // np.uint8(step or 1)


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """How the file packs its values: the type and the bits of the decoder's first argument."""
    arguments = image.tile[0][3] if image.tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)[:3]


def _read_bytes(path: Path, name: str = "") -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{name or path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{name or path} cannot be read: {error.strerror}") from None


@contextmanager
def _opened(
    data: bytes, name: str, formats: tuple[str, ...] | None = None, most_pixels: int = MAX_PIXELS
) -> Iterator[ImageFile.ImageFile]:
    """An opened image, its header read; errors of the decoder inside the block become an ImageError."""
    if not data:
        raise ImageError(f"{name} is empty (0 bytes)", advice="copy or download it again")
    try:
        # Not restored: that would undo changes of the filters by other threads.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        with Pillow.open(io.BytesIO(data), formats=formats) as image:
            _refuse_bomb(image.width * image.height, name, most_pixels)
            yield image
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} {_content_of(data)}", advice="save the image again as JPEG or PNG") from None
    except Pillow.DecompressionBombError:
        _refuse_bomb(MAX_PIXELS + 1, name, min(MAX_PIXELS, most_pixels))
    except MemoryError:
        raise ImageError(f"{name} does not fit in memory", advice="shrink it or cut it into tiles") from None
    except Exception as error:  # noqa: BLE001  decoders raise any exception on malformed bytes
        raise ImageError(
            f"{name} is damaged or cut short: {reason(error)}", advice="copy or download it again"
        ) from None


def _refuse_bomb(pixels: int, name: str, most: int) -> None:
    if pixels > most:
        raise ImageError(f"{name} claims more than {most:,} pixels", advice="shrink it or cut it into tiles")


def _content_of(data: bytes) -> str:
    """A description of bytes that no decoder recognises."""
    is_text = data[:512].isascii() and b"\0" not in data[:512]
    return "holds text, not an image" if is_text else "is not in a known image format, or its header is damaged"


def resize_image(image: Image, size: Size) -> UInt8[np.ndarray, "H_new W_new 3"]:
    """Resize to `size` (height, width) with OpenCV's bilinear filter, not antialiased, as in the paper's pipeline."""
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def resize_labels(labels: LabelMap, size: Size) -> Shaped[np.ndarray, "H_new W_new"]:
    """Resize to `size` (height, width) by nearest neighbour."""
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)


def write_image(path: Path, image: Image) -> None:
    """Write an image in the format of the path's suffix; the file appears whole or not at all.

    Raises:
        ImageError: no format with this suffix can be written.
    """
    kind = Pillow.registered_extensions().get(path.suffix.lower())
    if kind not in Pillow.SAVE:
        raise ImageError(f"{path}: no image format is written as {path.suffix!r}", advice="use .png or .jpg")
    quality = {"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}
    with replacing(path) as unfinished:
        Pillow.fromarray(image).save(unfinished, format=kind, **quality)


def write_palette_png(path: Path, labels: LabelMap, colours: tuple[Colour, ...]) -> None:
    """Write a label map that viewers show in colour, 255 = ignore in black; 16-bit maps become plain gray."""
    image = palette_image(labels, colours)
    with replacing(path) as unfinished:
        image.save(unfinished, format="PNG")


def palette_image(labels: LabelMap, colours: tuple[Colour, ...]) -> Pillow.Image:
    """The image that `write_palette_png` writes."""
    image = Pillow.fromarray(labels)
    if labels.dtype == np.uint8:
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(colours)] = np.array(colours, np.uint8).reshape(-1, 3)[:256]
        palette[IGNORE] = 0
        image.putpalette(palette.tobytes())
    return image


def find_images(source: str | Path) -> list[Path]:
    """The images of a file, a folder with its subfolders, or a pattern such as `photos/*.jpg`, sorted by name.

    Raises:
        ImageError: there are none.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = [file for file in path.rglob("*") if _is_image(file.relative_to(path)) and file.is_file()]
    else:
        matches = glob.glob(str(source), recursive=True)  # noqa: PTH207  Path.glob takes no absolute pattern
        files = [Path(match) for match in matches if _is_image(Path(match))]
    if not files:
        missing = "no such file or folder, and no image matches it as a pattern"
        problem = f"holds no images{_only(path)}" if path.is_dir() else missing
        raise ImageError(f"{source}: {problem}", advice=f"images end in {' '.join(SUFFIXES[:10])} and the like")
    return sorted(files)


def _only(folder: Path) -> str:
    """Count the other files of a folder without images, by suffix."""
    entries = (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    suffixes = Counter(file.suffix or "no suffix" for file in entries).most_common(3)
    kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in suffixes)
    return f", only files of other kinds ({kinds})" if kinds else ""


def _is_image(path: Path) -> bool:
    """Whether the suffix is an image's and the file is not hidden, as `._x.jpg` of macOS is."""
    is_hidden = any(part.startswith(".") and part not in (".", "..") for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not is_hidden


def name_images(sources: Sequence[str | Path], skip: Path | None = None) -> list[tuple[Path, str]]:
    """Every image of some files, folders and patterns, once, and a unique name for its results.

    The name is the path below the folder given (below what all have in common, if there are several), without the
    suffix unless two images differ in nothing else, in Unicode.

    Args:
        sources: may overlap.
        skip: a folder whose images are left out, such as the one that results go to, unless a source lies in it.
    """
    paths = list({path.resolve(): path for source in sources for path in _outside(source, skip)}.values())
    root = os.path.commonpath([_root(source).absolute() for source in sources])
    stems = {path: readable(path.absolute().relative_to(root).with_suffix("").as_posix()) for path in paths}
    uses = Counter(stem.casefold() for stem in stems.values())  # some file systems ignore case
    names = {path: stem for path, stem in stems.items() if uses[stem.casefold()] == 1}
    taken = {name.casefold() for name in names.values()}
    for path in (path for path in stems if path not in names):
        name = f"{stems[path]}_{path.suffix.removeprefix('.')}"
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        names[path] = name
    return [(path, names[path]) for path in paths]


def _outside(source: str | Path, skip: Path | None) -> list[Path]:
    """The images of a source but those below `skip`; all of them if the source itself is there."""
    paths = find_images(source)
    if skip is None or _root(source).resolve().is_relative_to(skip.resolve()):
        return paths
    others = [path for path in paths if not path.resolve().is_relative_to(skip.resolve())]
    if not others:
        raise ImageError(f"{source} holds no images but those in {skip}", advice="choose another output folder")
    return others


def _root(source: str | Path) -> Path:
    """The folder that names are relative to: the parent of a file, the last part of a pattern without a wildcard."""
    path = Path(source)
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    return Path(*takewhile(lambda part: not set(part) & set("*?["), path.parts))
