"""The result for one image: its label map, areas, overlay, and the files they are saved to.

Segmentation -- labels, confidence, areas
      +-- overlay, save: palette PNG, overlay with legend, JSON
"""

import json
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgrseg import draw
from cgrseg.classes import ClassTable
from cgrseg.data.images import write_image, write_palette_png
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.files import readable, replacing
from cgrseg.predictor.views import ConfidenceSource, KnownConfidence
from cgrseg.types import Confidence, Image, LabelMap

JPEG_PX = 60_000
"""A longer side does not fit in a JPEG."""
RESULTS = (".png", "_overlay.jpg", "_overlay.png", ".json")
"""What may follow the name of a result in the names of its files."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """An image and its label map."""

    image: Image = field(repr=False)
    labels: LabelMap = field(repr=False)
    confidence_source: ConfidenceSource = field(repr=False)
    """Computes the confidence when it is first asked for."""
    classes: ClassTable = field(repr=False)
    name: str
    """The name of its files, without suffix; may begin with folders."""
    source: Path | None = None
    """The file of the image, if it came from one."""
    weights: str = ""
    """The `source` given to `load`."""

    @property
    def confidence(self) -> Confidence:
        """Probability of the label at each pixel, 0..1; computed on first use, which frees the logits."""
        values = self.confidence_source.confidence()
        object.__setattr__(self, "confidence_source", KnownConfidence(values))
        return values

    def areas(self) -> dict[str, float]:
        """The share of the image, 0..1, of each class present, the largest first."""
        return {row["name"]: row["area"] for row in self.rows()}

    def overlay(self) -> Image:
        """The image under its classes' colours, at its own size."""
        return draw.overlay(self.image, self.labels, self.classes)

    def save(self, folder: Path | str) -> Path:
        """Write `<name>.png`, `<name>_overlay.jpg` and `<name>.json`, and return the path of the label map.

        The JSON holds the mean confidence, which is taken over every fourth row and column unless `confidence` has been
        computed.

        Raises:
            ImageError: a file cannot be written, or would replace the image itself or a file that is not the result of
                an earlier prediction.
        """
        base = Path(folder) / self.name
        drawn = "_overlay.jpg" if max(self.labels.shape) < JPEG_PX else "_overlay.png"
        labels, overlay, summary = (base.with_name(base.name + end) for end in (".png", drawn, ".json"))
        require_free(Path(folder), [self.name], set() if self.source is None else {self.source.resolve()})
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
            "source": None if self.source is None else readable(str(self.source)),
            "weights": self.weights,
            "height": height,
            "width": width,
            "confidence": self.confidence_source.mean_confidence(),
            "classes": self.rows(),
        }

    def rows(self) -> list[dict]:
        """Label, name, colour, pixels and area of each class present, the largest first."""
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


def require_free(folder: Path, names: Iterable[str], images: Set[Path]) -> None:
    """Require that the results of these names replace no image and nothing else but results of earlier predictions.

    Args:
        folder: of the results.
        names: of the results; each becomes `<name>.png`, `<name>_overlay.jpg` and `<name>.json`.
        images: resolved paths of the images.

    Raises:
        ImageError: a result would replace one of these images, or a file that `Segmentation.save` has not written.
    """
    advice = "choose another output folder"
    for name in names:
        base = folder / name
        files = [base.with_name(base.name + end) for end in RESULTS]
        there = [file for file in files if file.exists()]
        image = next((file for file in there if file.resolve() in images), None)
        if image is not None:
            raise ImageError(f"{image} is one of the images, and a result would replace it", advice=advice)
        if there and not _is_summary(files[-1]):
            raise ImageError(f"{there[0]} exists, and is not the result of an earlier prediction", advice=advice)


def _is_summary(file: Path) -> bool:
    """Whether a file is the JSON of a result."""
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(tree, dict) and {"weights", "confidence", "classes"} <= tree.keys()


@dataclass(frozen=True)
class Failure:
    """An image of a stream that could not be segmented."""

    path: Path
    error: CGRSegError
