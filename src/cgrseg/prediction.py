"""The first thing a user meets: load weights, call them with a picture, look at the result, save it.

    file -- read --+
    PIL picture ---+-- Segmenter -- Segmentation -- labels, confidence, areas
    array ---------+                      +-- overlay, save: palette PNG, overlay with legend, JSON

Axes: H W picture rows and columns.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from torch import nn

from cgrseg import draw
from cgrseg.arrays import Confidence, Image, LabelMap
from cgrseg.classes import ClassTable
from cgrseg.data.images import find_images, read_image, to_rgb, write_image, write_palette_png
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.files import replacing
from cgrseg.inference import predict_labels, predict_labels_with_confidence
from cgrseg.runtime import Engine, EngineName, TorchEngine, open_engine
from cgrseg.weights import WeightsInfo, open_weights

Picture = str | Path | Pillow.Image | np.ndarray
"""What a segmenter takes: the path of a file, a PIL picture or an (h, w, 3) uint8 RGB array."""

JPEG_PX = 60_000
"""A longer side does not fit in a JPEG."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """A picture and its label map."""

    image: Image = field(repr=False)
    labels: LabelMap = field(repr=False)
    confidence: Confidence = field(repr=False)
    """Probability of the label at each pixel, 0..1."""
    classes: ClassTable = field(repr=False)
    name: str
    """What its files are called; may begin with the folders they lie in."""
    source: Path | None = None
    """The picture's file."""
    weights: str = ""
    """What was given to `load`."""

    def areas(self) -> dict[str, float]:
        """The share of the picture, 0..1, of each class present, the largest first."""
        return {row["name"]: row["area"] for row in self._rows()}

    def overlay(self) -> Image:
        """The picture under its classes' colours, at its own size."""
        return draw.overlay(self.image, self.labels, self.classes)

    def save(self, folder: Path | str) -> Path:
        """Write `<name>.png`, `<name>_overlay.jpg` and `<name>.json`; the path of the first, the label map.

        Raises:
            ImageError: a file cannot be written, or would take the place of the picture itself.
        """
        base = Path(folder) / self.name
        drawn = "_overlay.jpg" if max(self.labels.shape) < JPEG_PX else "_overlay.png"
        labels, overlay, summary = (base.with_name(base.name + end) for end in (".png", drawn, ".json"))
        if self.source is not None and self.source.resolve() in (labels.resolve(), overlay.resolve()):
            raise ImageError(f"{self.source} would be overwritten by its own result; choose another output folder")
        sheet = draw.overlay_with_legend(self.image, self.labels, self.classes, self.areas())
        try:
            base.parent.mkdir(parents=True, exist_ok=True)
            with replacing(summary) as unfinished:
                text = json.dumps(self._summary(), indent=2, ensure_ascii=False)
                unfinished.write_text(text + "\n", encoding="utf-8")
            write_image(overlay, sheet)
            write_palette_png(labels, self.labels, self.classes.colours)
        except OSError as error:
            raise ImageError(f"{base.parent}: cannot write results there: {error.strerror or error}") from None
        return labels

    def _summary(self) -> dict:
        height, width = self.labels.shape
        return {
            "name": self.name,
            "source": None if self.source is None else str(self.source),
            "weights": self.weights,
            "height": height,
            "width": width,
            "confidence": float(self.confidence.mean(dtype=np.float64)),
            "classes": self._rows(),
        }

    def _rows(self) -> list[dict]:
        """What is known of each class present, the largest area first."""
        pixels = np.bincount(self.labels.ravel(), minlength=len(self.classes))[: len(self.classes)]
        return [
            {
                "label": int(label),
                "name": self.classes.names[label],
                "colour": list(self.classes.colours[label]),
                "pixels": int(pixels[label]),
                "area": float(pixels[label] / self.labels.size),
            }
            for label in np.argsort(-pixels, kind="stable")
            if pixels[label]
        ]


@dataclass(frozen=True)
class Failure:
    """A picture of a stream that could not be segmented."""

    path: Path
    error: CGRSegError


class Segmenter:
    """Weights on an engine, ready for pictures."""

    def __init__(self, engine: Engine, info: WeightsInfo, weights: str = "") -> None:
        self.engine, self.info, self.weights = engine, info, weights

    @property
    def classes(self) -> ClassTable:
        """The classes it tells apart; a class's place is its label."""
        return self.info.classes

    @property
    def model(self) -> nn.Module:
        """The network itself, on the engine that runs it as it is."""
        if not isinstance(self.engine, TorchEngine):
            raise CGRSegError(f"engine {self.engine.name!r} holds no PyTorch module; load with engine='torch'")
        return self.engine.model

    def __call__(self, picture: Picture) -> Segmentation:
        """Segment one picture.

        Raises:
            ImageError: the file cannot be read, or it is no picture.
        """
        if isinstance(picture, str | Path):
            return self._segment(read_image(Path(picture)), Path(picture).stem, Path(picture))
        return self._segment(as_image(picture), "picture", None)

    def labels(self, image: Image) -> LabelMap:
        """The label map alone, which is all that scoring needs and quicker."""
        return predict_labels(self.engine, self.info, image)

    def stream(self, sources: str | Path | Sequence[str | Path]) -> Iterator[Segmentation | Failure]:
        """Segment files, folders and patterns, in order; a file that fails does not stop the rest.

        Results are named by their place under the folder that was given, so that no two have the same name.

        Raises:
            ImageError: a source has no pictures.
        """
        for path, name in name_pictures([sources] if isinstance(sources, str | Path) else sources):
            try:
                yield self._segment(read_image(path), name, path)
            except CGRSegError as error:
                yield Failure(path, error)

    def _segment(self, image: Image, name: str, source: Path | None) -> Segmentation:
        labels, confidence = predict_labels_with_confidence(self.engine, self.info, image)
        return Segmentation(
            image=image,
            labels=labels,
            confidence=confidence,
            classes=self.classes,
            name=name,
            source=source,
            weights=self.weights,
        )


def load(
    source: str | Path,
    *,
    engine: EngineName = "auto",
    device: str = "cpu",
    threads: int | None = None,
    classes: str | tuple[str, ...] | None = None,
) -> Segmenter:
    """A segmenter from weights.

    Args:
        source: a bundled name such as `cgrseg-t-camvid`, a `.safetensors` file, an authors' `.pth` file or a hub id.
        engine: what runs the network; `auto` takes the fastest that is installed.
        device: `cpu`, `cuda` or `cuda:1`.
        threads: of a CPU; as many as the engine likes unless given.
        classes: a published table such as `ade20k`, or names, for weights that carry none.

    Raises:
        CheckpointError: the weights cannot be read, or predict another number of classes.
    """
    model, info = open_weights(source, classes)
    return Segmenter(open_engine(model, engine=engine, device=device, threads=threads), info, str(source))


def as_image(picture: Pillow.Image | np.ndarray) -> Image:
    """A PIL picture or an array as RGB; transparent parts become white.

    Raises:
        ImageError: the array is not (h, w, 3) uint8, or there are no pixels.
    """
    if isinstance(picture, Pillow.Image):
        if picture.width * picture.height == 0:
            raise ImageError(f"a PIL picture of {picture.height} x {picture.width} has no pixels")
        return to_rgb(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
        shape = " x ".join(map(str, picture.shape))
        raise ImageError(
            f"an array of {shape} {picture.dtype} is no picture; an RGB array of h x w x 3 uint8 is needed"
        )
    return np.ascontiguousarray(picture)


def name_pictures(sources: Sequence[str | Path]) -> list[tuple[Path, str]]:
    """Every picture of some files, folders and patterns, and a name for its results that no other has.

    The name is the path below the folder given (below what all have in common, if there are several), without the
    suffix unless two pictures differ in nothing else.
    """
    paths = [path for source in sources for path in find_images(source)]
    root = os.path.commonpath([_root(source).absolute() for source in sources])
    stems = {path: path.absolute().relative_to(root).with_suffix("").as_posix() for path in paths}
    uses = Counter(stem.casefold() for stem in stems.values())  # some file systems do not tell a from A
    names = {path: stem for path, stem in stems.items() if uses[stem.casefold()] == 1}
    taken = {name.casefold() for name in names.values()}
    for path in (path for path in stems if path not in names):
        name = f"{stems[path]}_{path.suffix.removeprefix('.')}"
        while name.casefold() in taken:
            name += "_"
        taken.add(name.casefold())
        names[path] = name
    return [(path, names[path]) for path in paths]


def _root(source: str | Path) -> Path:
    """The folder that names are relative to: of a file its own, of a pattern the last one without a wildcard."""
    path = Path(source)
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    return Path(*takewhile(lambda part: not set(part) & set("*?["), path.parts))
