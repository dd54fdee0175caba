"""Facts about the files of each pair: everything that the rules need, small enough to keep for all pairs.

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
from cgrseg.data.datasets.class_masks import ClassMaskReader
from cgrseg.data.datasets.coco import MaskReader
from cgrseg.data.datasets.colours import colours_of
from cgrseg.data.datasets.folder import FileReader
from cgrseg.data.datasets.supervisely import SuperviselyReader
from cgrseg.data.datasets.table import Table
from cgrseg.data.images import read_image, read_size, read_tones
from cgrseg.data.similarity import Bits, digest_of, image_bits
from cgrseg.data.tones import ToneRange
from cgrseg.errors import CGRSegError, DatasetError, MissingExtra
from cgrseg.types import Colour, LabelMap, Size

ORIENTATION = 0x0112
"""The EXIF tag."""
NAME = "the file"
"""Images are called this in `ImageFacts.problem`: findings list their names anyway."""
MOST_COLOURS = 64
"""Largest number of colours that are kept of a label file."""

Fault = Literal["", "empty", "damaged", "jpeg", "colours", "unknown colours", "shapes"]
"""Why a label file cannot be read; `unknown colours` means that the palette of the folder does not list them all."""


Alpha = Literal["", "even", "shape", "parts"]
"""The alpha channel of a label file in colours: none, equal everywhere, all that the file shows, or one part of it."""


@dataclass(frozen=True)
class Header:
    """The metadata of an image file, from its first bytes."""

    format: str = ""
    mode: str = ""
    orientation: int = 1
    stored: Size = (0, 0)
    """The size before the orientation is applied."""
    palette: bytes = b""


@dataclass(frozen=True, eq=False)
class ImageFacts:
    """Facts about an image; those that need its pixels keep their defaults if it cannot be read."""

    problem: str = ""
    """Why it cannot be read; empty if it can."""
    is_empty: bool = False
    header: Header = Header()
    size: Size = (0, 0)
    digest: bytes = b""
    """Equal for equal pixels."""
    tones: ToneRange | None = None
    """None for 8 bits a channel."""
    bits: Bits | None = None
    """Nearly equal for images that look the same; None for images without contrast."""


@dataclass(frozen=True, eq=False)
class LabelFacts:
    """Facts about a label file; those about its values are empty if it cannot be read."""

    problem: str = ""
    """Why it cannot be read; empty if it can."""
    advice: str = ""
    """The reader's advice on the problem."""
    fault: Fault = ""
    header: Header = Header()
    size: Size = (0, 0)
    values: Int64[np.ndarray, "v"] = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Int64[np.ndarray, "v"] = field(default_factory=lambda: np.zeros(0, np.int64))
    between: float = 0.0
    """The share of the value changes at which a value lies between those of its neighbours, 0..1."""
    between_values: int = 0
    """The number of different values that lie between those of their neighbours."""
    digest: bytes = b""
    """Equal for equal label maps."""
    alpha: Alpha = ""
    """Only of files with the fault `colours`."""
    colours: dict[Colour, int] = field(default_factory=dict)
    """If the fault is `colours`, those of the file; if it is `unknown colours`, those that the palette does not list;
    the most frequent first, 64 at most."""
    colour_count: int = 0
    """The number of all such colours."""


@dataclass(frozen=True)
class Examined:
    """One pair and its facts."""

    split: str
    pair: Pair
    image: ImageFacts
    labels: LabelFacts
    shares_labels: bool = False
    """Whether the label file holds the labels of other images, too."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that belong to this pair alone: a JSON may hold the labels of many, and a negative has none."""
        if self.shares_labels or self.pair.is_negative:
            return (self.pair.image,)
        return (self.pair.image, *(self.pair.masks or (self.pair.labels,)))


def examine(
    dataset: LabelledImages, indices: Sequence[int], show: Callable[[int], None] | None = None, *, quick: bool = False
) -> list[Examined]:
    """The facts about some pairs; `quick` reads no image beyond its header.

    Args:
        dataset: the split.
        indices: which pairs of the split.
        show: called with the number of pairs done.
        quick: leave out the facts that need the images' pixels.

    Raises:
        MissingExtra: the label files need a package that is not installed.
    """
    image_facts = _quick_image_facts if quick else _image_facts
    facts: list[Examined] = []
    shares = isinstance(dataset.read, MaskReader)
    with ThreadPoolExecutor() as threads:
        pairs = [dataset.pairs[index] for index in indices]
        both = threads.map(lambda pair: (image_facts(pair), _label_facts(dataset, pair)), pairs)
        for pair, (image, labels) in zip(pairs, both, strict=True):
            facts.append(Examined(dataset.split, pair, image, labels, shares))
            if show:
                show(len(facts))
    return facts


def having(pairs: Sequence[Examined], fault: Fault) -> list[Examined]:
    """The pairs whose label file has a fault."""
    return [pair for pair in pairs if pair.labels.fault == fault]


def label_files(pairs: Sequence[Examined]) -> list[Path | str]:
    """The label files of pairs; the images if one file holds the labels of all."""
    return [pair.pair.image if pair.shares_labels else pair.pair.labels for pair in pairs]


def _quick_image_facts(pair: Pair) -> ImageFacts:
    try:
        return ImageFacts(header=_header(pair.image), size=read_size(pair.image, NAME))
    except CGRSegError as error:
        return ImageFacts(error.problem, _is_empty(pair.image))


def _image_facts(pair: Pair) -> ImageFacts:
    file = pair.image
    try:
        image, tones = read_image(file, NAME, pair.levels), read_tones(file)
    except CGRSegError as error:
        return ImageFacts(error.problem, _is_empty(file))
    return ImageFacts("", False, _header(file), image.shape[:2], digest_of(image), tones, image_bits(image))


def _is_empty(file: Path) -> bool:
    return file.is_file() and file.stat().st_size == 0


def is_drawn(dataset: LabelledImages, pair: Pair) -> bool:
    """Whether a label map is made of shapes or of masks of single classes, not of the numbers in one file."""
    is_joined = isinstance(dataset.read, MaskReader | ClassMaskReader | SuperviselyReader)
    return is_joined or pair.is_negative or pair.labels.suffix.lower() in (".json", ".mat")


def _label_facts(dataset: LabelledImages, pair: Pair) -> LabelFacts:
    header = Header() if is_drawn(dataset, pair) else _header(pair.labels)
    try:
        raw = dataset.read(pair)
    except MissingExtra:
        raise
    except CGRSegError as error:
        fault = "shapes" if is_drawn(dataset, pair) else _fault(dataset, pair.labels, header)
        colours, count = _colours(dataset, pair.labels, fault)
        facts = LabelFacts(error.problem, error.advice, fault, header, header.stored)
        return replace(facts, colours=colours, colour_count=count, alpha=_alpha(pair.labels, fault))
    values, counts = np.unique(raw, return_counts=True)
    share, kinds = between(raw)
    return LabelFacts("", "", "", header, raw.shape, values.astype(np.int64), counts, share, kinds, digest_of(raw))


def _fault(dataset: LabelledImages, file: Path, header: Header) -> Fault:
    """The reason why a label file cannot be read."""
    if _is_empty(file):
        return "empty"
    if header.format in ("JPEG", "MPO"):
        return "jpeg"
    table = _table_with_palette(dataset)
    coloured = ("RGB", "RGBA", "P") if table and table.reads_palettes else ("RGB", "RGBA")
    holds_numbers = header.mode not in coloured and (header.mode in ("", "1", "L", "P") or header.mode.startswith("I"))
    if holds_numbers or not _decodes(file):
        return "damaged"
    return "unknown colours" if table and header.mode in coloured else "colours"


def _table_with_palette(dataset: LabelledImages) -> Table | None:
    """The table of a folder that gives its classes colours."""
    return dataset.read.table if isinstance(dataset.read, FileReader) and dataset.read.table.has_palette else None


def _decodes(file: Path) -> bool:
    try:
        read_image(file)
    except CGRSegError:
        return False
    return True


def _colours(dataset: LabelledImages, file: Path, fault: Fault) -> tuple[dict[Colour, int], int]:
    """The most frequent colours of a label file that make up its fault, with their pixels, and the number of all."""
    if fault not in ("colours", "unknown colours"):
        return {}, 0
    table = _table_with_palette(dataset) if fault == "unknown colours" else None
    try:
        known = table.values_by_colour(str(file)) if table else {}
    except DatasetError:  # the palette itself is wrong
        return {}, 0
    colours = [item for item in colours_of(read_image(file)).items() if item[0] not in known]
    return dict(colours[:MOST_COLOURS]), len(colours)


def _alpha(file: Path, fault: Fault) -> Alpha:
    """How the alpha channel of a file in colours relates to its other channels."""
    if fault != "colours":
        return ""
    with Pillow.open(file) as image:
        if image.mode not in ("LA", "PA", "La", "RGBA"):
            return ""
        pixels = np.array(image.convert("RGBA"))
    opaque = pixels[pixels[..., 3] > 0][:, :3]
    if np.ptp(pixels[..., 3]) == 0:
        return "even"
    is_photo = len(np.unique(opaque[::7], axis=0)) > MOST_COLOURS
    return "shape" if is_photo or not np.ptp(opaque, axis=0).any() else "parts"


def _header(file: Path) -> Header:
    """The metadata in a file's first bytes; an empty header if they cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Pillow.open(file) as image:
                return _header_of(image)
    except Exception:  # noqa: BLE001  decoders raise any exception on malformed bytes; the reader reports it
        return Header()


def _header_of(image: ImageFile.ImageFile) -> Header:
    palette = bytes(image.getpalette() or ()) if image.mode == "P" else b""
    turn = image.getexif().get(ORIENTATION, 1)
    return Header(image.format or "", image.mode, turn, (image.height, image.width), palette)


def between(labels: LabelMap) -> tuple[float, int]:
    """The share of value changes at which a value lies between those of its neighbours, and how many values do.

    Interpolation puts such values on every border; drawn labels have them only where three classes meet by chance.
    """
    count = changes = 0
    values_between: set[int] = set()
    values = labels.astype(np.int32)
    for rows in (values, values.T):
        before, here, after = rows[:, :-2], rows[:, 1:-1], rows[:, 2:]
        is_between = (here > np.minimum(before, after)) & (here < np.maximum(before, after))
        count += np.count_nonzero(is_between)
        changes += np.count_nonzero(before != after)
        values_between.update(np.unique(here[is_between]).tolist())
    return (float(count / changes) if changes else 0.0), len(values_between)
