"""Segmenter: weights on an engine, ready for images.

    file -- read --+
    PIL image -----+-- prepare -- infer -- label -- Segmentation
    array ---------+

The three stages may run in threads of their own, and `overlap` runs them so: several items in work at a time, few in
memory, results in order.

    items --> first --> second --> third --> results
              item 3    item 2     item 1             at the same moment

NumPy, OpenCV, Pillow, the engines and the kernels release the GIL meanwhile.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from PIL import Image as Pillow
from torch import nn

from cgrseg.classes import ClassTable
from cgrseg.config import Levels
from cgrseg.config.parsing import require_levels
from cgrseg.data.images import name_images, read_image
from cgrseg.data.left_out import left_out
from cgrseg.data.tones import to_rgb
from cgrseg.errors import CGRSegError, CheckpointError, ImageError
from cgrseg.files import readable
from cgrseg.predictor.pipeline import overlap
from cgrseg.predictor.protocols import WHOLE, Protocol, ProtocolName, choose_protocol
from cgrseg.predictor.result import Failure, Segmentation
from cgrseg.predictor.views import EnsembleLogits, ImageLogits, PreparedImage, infer, prepare_views
from cgrseg.runtime import Engine, EngineName, TorchEngine, is_graph, open_engine, open_graph
from cgrseg.types import Image, Size
from cgrseg.weights import WeightsInfo, open_weights, with_classes

logger = logging.getLogger(__name__)


ImageLike = str | Path | Pillow.Image | np.ndarray
"""Input of a segmenter: the path of a file, a PIL image or an (h, w, 3) uint8 RGB array."""


class Named(NamedTuple):
    """An image, the name of its result, and its file."""

    image: Image
    name: str
    source: Path | None

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]


Prepared = tuple[Named, PreparedImage]
"""An image, and its views as the network takes them."""
Inferred = tuple[Named, ImageLogits | EnsembleLogits]
"""An image and its logits; both kinds give their maps alike."""


class Segmenter:
    """Weights on an engine, ready for images; may be called from several threads."""

    def __init__(
        self, engine: Engine, info: WeightsInfo, weights: str = "", threads: int = 1, protocol: Protocol = WHOLE
    ) -> None:
        """`threads` share the work on each label map; those of the network are the engine's own."""
        self.engine, self.info, self.weights, self.threads = engine, info, weights, threads
        self.protocol = protocol
        self._turn = Lock()

    def __reduce__(self) -> tuple:
        return Segmenter, (self.engine, self.info, self.weights, self.threads, self.protocol)

    @property
    def classes(self) -> ClassTable:
        """The classes; the index of a class is its label."""
        return self.info.classes

    @property
    def model(self) -> nn.Module:
        """The network as a PyTorch module; only the engine `torch` has it."""
        if not isinstance(self.engine, TorchEngine):
            raise CGRSegError(
                f"engine {self.engine.name!r} holds no PyTorch module",
                advice="load with engine='torch'",
            )
        return self.engine.model

    def with_levels(self, levels: Levels | None) -> "Segmenter":
        """The same weights with another black and white for images of more than 8 bits a channel, if any are given.

        Raises:
            RecipeError: white is not above black.
        """
        if levels is None:
            return self
        require_levels(levels, "levels")
        info = replace(self.info, levels=levels)
        return Segmenter(self.engine, info, self.weights, self.threads, self.protocol)

    def __call__(self, image: ImageLike) -> Segmentation:
        """Segment one image.

        Raises:
            ImageError: the file cannot be read, or the value is not an image.
        """
        if isinstance(image, str | Path):
            prepared = self._read((Path(image), readable(Path(image).stem)))
        else:
            prepared = self.prepare(Named(as_image(image, self.info.levels), "picture", None))
        return self.label(self._infer(prepared))

    def stream(
        self, sources: str | Path | Sequence[str | Path], skip: Path | None = None
    ) -> Iterator[Segmentation | Failure]:
        """Segment files, folders and patterns, in order; a file that fails does not stop the rest.

        The next images are read and segmented in threads while the caller works on a result; a few are in memory at a
        time. Results are named by their path below the given folder, so that no two have the same name. A warning says
        what the sources hold that is not read.

        Args:
            sources: may overlap; each image is segmented once.
            skip: a folder whose images are left out, such as the one that results go to.

        Raises:
            ImageError: a source has no images.
            CheckpointError: the network gives NaN or infinity.
        """
        sources = [sources] if isinstance(sources, str | Path) else sources
        for group in left_out(sources, skip):
            logger.warning("%s", group)
        yield from self.stream_named(name_images(sources, skip))

    def stream_named(self, named: Sequence[tuple[Path, str]]) -> Iterator[Segmentation | Failure]:
        """The same for files whose results have names already."""
        with closing(overlap(named, self._read, self._infer, self.label)) as answers:
            for (path, _), answer in zip(named, answers, strict=True):
                error = answer.exception()
                if isinstance(error, CheckpointError):  # not of this image only
                    raise error
                yield Failure(path, error) if isinstance(error, CGRSegError) else answer.result()

    def prepare(self, named: Named) -> Prepared:
        """The first of three stages, each of which may run in a thread of its own."""
        return named, prepare_views(named.image, self.info, self.protocol)

    def infer(self, prepared: Sequence[Prepared], batch: int = 1) -> list[Inferred]:
        """The second stage, of several images; up to `batch` inputs of one size share a call of the engine.

        The engine is called by one thread at a time.

        Raises:
            CheckpointError: the network gives NaN or infinity, or another number of classes than it describes.
        """
        with self._turn:
            logits = infer(self._logits, [image for _, image in prepared], self.info.temperature, batch)
        return [(named, result) for (named, _), result in zip(prepared, logits, strict=True)]

    def logits(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        """The logits of normalised images of one size; the engine is called by one thread at a time.

        Raises:
            CheckpointError: as in `infer`.
        """
        with self._turn:
            return self._logits(images)

    def _logits(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b k h w"]:
        """The logits of the engine, checked: labels of others would look like any."""
        logits, weights = self.engine(images), self.weights or "the engine"
        if logits.shape[1] != len(self.classes):
            raise CheckpointError(f"{weights} gives {logits.shape[1]} classes and describes {len(self.classes)}")
        if not np.isfinite(logits).all():
            raise CheckpointError(
                f"{weights}: the output of the network holds NaN or infinity",
                advice="train again, or take an earlier checkpoint",
            )
        return logits

    def label(self, inferred: Inferred) -> Segmentation:
        """The third stage."""
        named, logits = inferred
        labels, confidence_source = logits.maps(self.threads)
        return Segmentation(
            image=named.image,
            labels=labels,
            confidence_source=confidence_source,
            classes=self.classes,
            name=named.name,
            source=named.source,
            weights=self.weights,
        )

    def _read(self, named: tuple[Path, str]) -> Prepared:
        path, name = named
        return self.prepare(Named(read_image(path, levels=self.info.levels), name, path))

    def _infer(self, prepared: Prepared) -> Inferred:
        return self.infer([prepared])[0]


def as_image(image: Pillow.Image | np.ndarray, levels: Levels | None = None) -> Image:
    """A PIL image or an array as RGB; transparent parts become white.

    Args:
        image: the image.
        levels: black and white of a PIL image of more than 8 bits.

    Raises:
        ImageError: the array is not (h, w, 3) uint8, or has no pixels.
    """
    if isinstance(image, Pillow.Image):
        if image.width * image.height == 0:
            raise ImageError(f"a PIL image of {image.height} x {image.width} has no pixels")
        return to_rgb(image, levels)
    if not isinstance(image, np.ndarray):
        raise ImageError(
            f"a value of type {type(image).__name__} is not an image",
            advice="give a path, a PIL image or an RGB array of h x w x 3 uint8",
        )
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        shape = " x ".join(map(str, image.shape))
        raise ImageError(
            f"an array of {shape} {image.dtype} is not an image",
            advice="an RGB array of h x w x 3 uint8 is needed",
        )
    return np.ascontiguousarray(image)


def load(
    source: str | Path,
    *,
    engine: EngineName | Engine = "auto",
    device: str = "cpu",
    threads: int | None = None,
    classes: str | tuple[str, ...] | None = None,
    protocol: ProtocolName | Protocol = "whole",
    paper_exact: bool = False,
) -> Segmenter:
    """Load weights, or a file that `cgrseg export` made of them, as a segmenter.

    Args:
        source: a bundled name such as `cgrseg-lite-everyday`, a `.safetensors` file, an authors' `.pth` file or a hub
            id; or an exported `.onnx` or `.xml` file.
        engine: a name, where `auto` takes the fastest that is installed; or a ready object of yours that has the
            attributes of `cgrseg.runtime.Engine`, to run the network in any way you like.
        device: `cpu`, `cuda` or `cuda:1`.
        threads: of a CPU; as many as the engine likes unless given.
        classes: a published table such as `ade20k`, or names, for weights that carry none.
        protocol: how an image is shown to the network: `whole`, `sliding`, `multi-scale`, or a `Protocol` of yours.
        paper_exact: go by the two steps of the authors' code from logits to labels.

    Raises:
        CGRSegError: the protocol or engine does not exist.
        CheckpointError: the weights cannot be read, or predict another number of classes.
    """
    if is_graph(source):
        opened, info = open_graph(Path(source), engine=engine, device=device, threads=threads)
        info = with_classes(info, classes, Path(source).name)
    else:
        model, info = open_weights(source, classes)
        opened = open_engine(model, engine=engine, device=device, threads=threads)
    chosen = choose_protocol(protocol, info, paper_exact=paper_exact)
    return Segmenter(opened, info, str(source), threads or 1, chosen)
