"""Facts about the files of one pair: all that the rules of a check need, small enough to keep for every pair.

Axes: H W rows and columns, v different values in a label file, n colours.
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int64
from PIL import Image as Pillow
from PIL import ImageFile

from cgrseg.data.datasets import LabelledImages, Pair
from cgrseg.data.datasets.folder import FileReader
from cgrseg.data.images import read_image, read_size
from cgrseg.data.similarity import Bits, digest_of, image_bits
from cgrseg.errors import CGRSegError, MissingExtra
from cgrseg.types import Colour, LabelMap, Size

ORIENTATION = 0x0112
LARGE = 64
"""Colours of a label file that are kept, the most frequent first."""

Fault = Literal["", "empty", "damaged", "jpeg", "colours", "strange colours", "shapes"]
"""Why a label file cannot be read: what it is instead of a label map."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of an image file say."""

    format: str = ""
    mode: str = ""
    orientation: int = 1
    stored: Size = (0, 0)
    """The size before the orientation is applied."""
    palette: bytes = b""


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """What is known of an image."""

    problem: str = ""
    """Why it cannot be read, if so."""
    is_empty: bool = False
    header: Header = Header()
    size: Size = (0, 0)
    digest: bytes = b""
    """Equal for equal pixels."""
    bits: Bits | None = None
    """Nearly equal for images that look the same; none for flat ones."""


@dataclass(frozen=True, eq=False)
class LabelFacts:
    """What is known of a label file."""

    problem: str = ""
    advice: str = ""
    """What the reader says to do about it."""
    fault: Fault = ""
    header: Header = Header()
    size: Size = (0, 0)
    values: Int64[np.ndarray, "v"] = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Int64[np.ndarray, "v"] = field(default_factory=lambda: np.zeros(0, np.int64))
    between: float = 0.0
    """Of the places where values change, the share at which a value lies between its neighbours'."""
    between_values: int = 0
    """How many different values lie so."""
    digest: bytes = b""
    colours: tuple[Colour, ...] = ()
    """Of a file in colours that cannot be read: the most frequent."""
    colour_count: int = 0


@dataclass(frozen=True)
class Examined:
    """One pair and its facts."""

    split: str
    pair: Pair
    image: ImageFacts
    labels: LabelFacts

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that belong to this pair alone: a JSON may hold the labels of many."""
        is_own = self.pair.labels.name.startswith(self.pair.name)
        return (self.pair.image, self.pair.labels) if is_own else (self.pair.image,)


def examine(
    dataset: LabelledImages, indices: Sequence[int], show: Callable[[int], None] | None = None, *, quick: bool = False
) -> list[Examined]:
    """The facts about some pairs; `quick` reads no image beyond its header.

    Args:
        dataset: the split.
        indices: the places of the pairs.
        show: called with the number of pairs done.
        quick: leave out what needs the images' pixels.

    Raises:
        MissingExtra: the label files need a package that is not installed.
    """
    look = (lambda pair: _glance(pair.image)) if quick else (lambda pair: _image(pair.image))
    found: list[Examined] = []
    with ThreadPoolExecutor() as threads:
        pairs = [dataset.pairs[index] for index in indices]
        both = threads.map(lambda pair: (look(pair), _labels(dataset, pair)), pairs)
        for pair, (image, labels) in zip(pairs, both, strict=True):
            found.append(Examined(dataset.split, pair, image, labels))
            if show:
                show(len(found))
    return found


def _glance(file: Path) -> ImageFacts:
    try:
        return ImageFacts(header=_header(file), size=read_size(file))
    except CGRSegError as error:
        return ImageFacts(error.problem, _is_empty(file))


def _image(file: Path) -> ImageFacts:
    try:
        image = read_image(file)
    except CGRSegError as error:
        return ImageFacts(error.problem, _is_empty(file))
    return ImageFacts("", False, _header(file), image.shape[:2], digest_of(image), image_bits(image))


def _is_empty(file: Path) -> bool:
    return file.is_file() and file.stat().st_size == 0


def _labels(dataset: LabelledImages, pair: Pair) -> LabelFacts:
    header = _header(pair.labels) if pair.labels.suffix.lower() not in (".json", ".mat") else Header()
    try:
        raw = dataset.read(pair)
    except MissingExtra:
        raise
    except CGRSegError as error:
        fault = _fault(dataset, pair.labels, header)
        colours, count = _colours(pair.labels) if "colours" in fault else ((), 0)
        facts = LabelFacts(error.problem, error.advice, fault, header, header.stored)
        return replace(facts, colours=colours, colour_count=count)
    values, counts = np.unique(raw, return_counts=True)
    share, kinds = between(raw)
    return LabelFacts("", "", "", header, raw.shape, values.astype(np.int64), counts, share, kinds, digest_of(raw))


def _fault(dataset: LabelledImages, file: Path, header: Header) -> Fault:
    """What a label file that cannot be read is instead."""
    if file.suffix.lower() in (".json", ".mat"):
        return "shapes"
    if _is_empty(file):
        return "empty"
    if header.format in ("JPEG", "MPO"):
        return "jpeg"
    if header.mode in ("", "1", "L", "P") or header.mode.startswith("I"):
        return "damaged"
    if not _decodes(file):
        return "damaged"
    has_palette = isinstance(dataset.read, FileReader) and dataset.read.table.has_palette
    return "strange colours" if has_palette and header.mode in ("RGB", "RGBA") else "colours"


def _decodes(file: Path) -> bool:
    try:
        read_image(file)
    except CGRSegError:
        return False
    return True


def _colours(file: Path) -> tuple[tuple[Colour, ...], int]:
    """The most frequent colours of a file, and the number of all."""
    colours, counts = np.unique(read_image(file).reshape(-1, 3), axis=0, return_counts=True)
    most = colours[np.argsort(-counts, kind="stable")[:LARGE]]
    return tuple((int(red), int(green), int(blue)) for red, green, blue in most), len(colours)


def _header(file: Path) -> Header:
    """What a file's first bytes say; an empty header if they make no sense."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Pillow.open(file) as image:
                return _header_of(image)
    except Exception:  # noqa: BLE001  decoders raise anything at all on malformed bytes; the reader says what is wrong
        return Header()


def _header_of(image: ImageFile.ImageFile) -> Header:
    palette = bytes(image.getpalette() or ()) if image.mode == "P" else b""
    turn = image.getexif().get(ORIENTATION, 1)
    return Header(image.format or "", image.mode, turn, (image.height, image.width), palette)


def between(labels: LabelMap) -> tuple[float, int]:
    """Of the places where values change, the share at which a value lies between its neighbours', and how many do.

    Interpolation puts such values on every border; drawn labels have them only where three classes meet by chance.
    """
    found = changes = 0
    kinds: set[int] = set()
    values = labels.astype(np.int32)
    for rows in (values, values.T):
        before, here, after = rows[:, :-2], rows[:, 1:-1], rows[:, 2:]
        is_between = (here > np.minimum(before, after)) & (here < np.maximum(before, after))
        found += np.count_nonzero(is_between)
        changes += np.count_nonzero(before != after)
        kinds.update(np.unique(here[is_between]).tolist())
    return (float(found / changes) if changes else 0.0), len(kinds)
