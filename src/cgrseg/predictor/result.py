"""The result for one image: its label map, areas, overlay, and the files they are saved to.

Segmentation -- labels, confidence, areas
      +-- overlay, save: files of any format, see `saving`
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgrseg import draw
from cgrseg.classes import ClassTable
from cgrseg.errors import CGRSegError
from cgrseg.files import readable
from cgrseg.predictor.saving import USUAL, ResultWriter
from cgrseg.predictor.views import ConfidenceSource, KnownConfidence
from cgrseg.types import Confidence, Image, LabelMap


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

    def save(self, folder: Path | str, formats: Sequence[str] = USUAL) -> Path:
        """Write the result to files in a folder, and return the path of the first format's: `<name>.png` by default.

        The summary `<name>.json` holds the mean confidence, which is taken over every fourth row and column unless
        `confidence` has been computed.

        Args:
            folder: of the results.
            formats: any of `png` (the label map), `overlay`, `json` (the summary), `npz` (labels and confidence), `rle`
                (masks in the summary's form), `labelme`, `coco` and `cvat`. The last two are one file for all images;
                the result is added to it.

        Raises:
            ImageError: a file cannot be written, or would replace the image itself or a file that is not the result of
                an earlier prediction.
            CGRSegError: a format does not exist.
        """
        with ResultWriter(Path(folder), formats, self.classes) as writer:
            return writer.save(self)

    def summary(self) -> dict:
        """Name, source, weights, size, mean confidence and the classes present, for JSON."""
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


@dataclass(frozen=True)
class Failure:
    """An image of a stream that could not be segmented."""

    path: Path
    error: CGRSegError
