"""The first thing a user meets: load weights, call them with a picture, look at the result, save it.

    file -- read --+
    PIL picture ---+-- Segmenter -- Segmentation -- labels, confidence, areas
    array ---------+                      +-- overlay, save: palette PNG, overlay with legend, JSON

Axes: H W picture rows and columns.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from PIL import Image as Pillow
from torch import nn

from cgrseg import draw
from cgrseg.arrays import Confidence, Image, LabelMap
from cgrseg.classes import ClassTable
from cgrseg.data.images import read_image, to_rgb, write_image, write_palette_png
from cgrseg.data.sources import name_pictures
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.files import replacing
from cgrseg.inference import Evidence, infer, prepare
from cgrseg.runtime import Engine, EngineName, TorchEngine, is_graph, open_engine, open_graph
from cgrseg.streaming import overlap
from cgrseg.weights import WeightsInfo, open_weights, with_classes

Picture = str | Path | Pillow.Image | np.ndarray
"""What a segmenter takes: the path of a file, a PIL picture or an (h, w, 3) uint8 RGB array."""

JPEG_PX = 60_000
"""A longer side does not fit in a JPEG."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """A picture and its label map."""

    image: Image = field(repr=False)
    labels: LabelMap = field(repr=False)
    evidence: Confidence | Evidence = field(repr=False)
    """The confidence, or what it is computed from on first use."""
    classes: ClassTable = field(repr=False)
    name: str
    """What its files are called; may begin with the folders they lie in."""
    source: Path | None = None
    """The picture's file."""
    weights: str = ""
    """What was given to `load`."""

    @property
    def confidence(self) -> Confidence:
        """Probability of the label at each pixel, 0..1; computed when first asked for, and the logits are let go."""
        evidence = self.evidence
        if isinstance(evidence, Evidence):
            evidence = evidence.confidence()
            object.__setattr__(self, "evidence", evidence)
        return evidence

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


class _Named(NamedTuple):
    """A picture, what its result is called, and its file."""

    image: Image
    name: str
    source: Path | None


_Prepared = tuple[_Named, Float32[np.ndarray, "3 _H _W"]]


class Segmenter:
    """Weights on an engine, ready for pictures; may be called from several threads."""

    def __init__(self, engine: Engine, info: WeightsInfo, weights: str = "", threads: int = 1) -> None:
        """`threads` share the work on each label map; those of the network are the engine's own."""
        self.engine, self.info, self.weights, self.threads = engine, info, weights, threads
        self._turn = Lock()

    def __reduce__(self) -> tuple:
        return Segmenter, (self.engine, self.info, self.weights, self.threads)

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
            prepared = self._read((Path(picture), Path(picture).stem))
        else:
            prepared = self._prepare(_Named(as_image(picture), "picture", None))
        return self._label(self._infer(prepared))

    def stream(self, sources: str | Path | Sequence[str | Path]) -> Iterator[Segmentation | Failure]:
        """Segment files, folders and patterns, in order; a file that fails does not stop the rest.

        The next pictures are read and segmented in threads while the caller works on a result; a few are in memory at a
        time. Results are named by their place under the folder that was given, so that no two have the same name.

        Raises:
            ImageError: a source has no pictures.
        """
        named = name_pictures([sources] if isinstance(sources, str | Path) else sources)
        with closing(overlap(named, self._read, self._infer, self._label)) as answers:
            for (path, _), answer in zip(named, answers, strict=True):
                error = answer.exception()
                yield Failure(path, error) if isinstance(error, CGRSegError) else answer.result()

    def _read(self, named: tuple[Path, str]) -> _Prepared:
        path, name = named
        return self._prepare(_Named(read_image(path), name, path))

    def _prepare(self, named: _Named) -> _Prepared:
        return named, prepare(named.image, self.info)

    def _infer(self, prepared: _Prepared) -> tuple[_Named, Evidence]:
        """An engine is asked by one thread at a time."""
        named, array = prepared
        with self._turn:
            return named, infer(self.engine, array, named.image.shape[:2])

    def _label(self, inferred: tuple[_Named, Evidence]) -> Segmentation:
        named, evidence = inferred
        return Segmentation(
            image=named.image,
            labels=evidence.labels(self.threads),
            evidence=evidence,
            classes=self.classes,
            name=named.name,
            source=named.source,
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
    """A segmenter from weights, or from what `cgrseg export` made of them.

    Args:
        source: a bundled name such as `cgrseg-t-camvid`, a `.safetensors` file, an authors' `.pth` file or a hub id; or
            an exported `.onnx` or `.xml` file.
        engine: what runs the network; `auto` takes the fastest that is installed.
        device: `cpu`, `cuda` or `cuda:1`.
        threads: of a CPU; as many as the engine likes unless given.
        classes: a published table such as `ade20k`, or names, for weights that carry none.

    Raises:
        CheckpointError: the weights cannot be read, or predict another number of classes.
    """
    if is_graph(source):
        opened, info = open_graph(Path(source), engine=engine, device=device, threads=threads)
        info = with_classes(info, classes, Path(source).name)
    else:
        model, info = open_weights(source, classes)
        opened = open_engine(model, engine=engine, device=device, threads=threads)
    return Segmenter(opened, info, str(source), threads or 1)


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
