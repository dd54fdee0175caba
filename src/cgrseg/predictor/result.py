"""An image and its label map: what a user looks at, asks for areas, and saves.

Segmentation -- labels, confidence, areas
      +-- overlay, save: palette PNG, overlay with legend, JSON
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgrseg import draw
from cgrseg.classes import ClassTable
from cgrseg.data.images import write_image, write_palette_png
from cgrseg.errors import CGRSegError, ImageError
from cgrseg.files import replacing
from cgrseg.predictor.views import Evidence
from cgrseg.types import Confidence, Image, LabelMap

JPEG_PX = 60_000
"""A longer side does not fit in a JPEG."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """An image and its label map."""

    image: Image = field(repr=False)
    labels: LabelMap = field(repr=False)
    evidence: Confidence | Evidence = field(repr=False)
    """The confidence, or what it is computed from on first use."""
    classes: ClassTable = field(repr=False)
    name: str
    """What its files are called; may begin with the folders they lie in."""
    source: Path | None = None
    """The image's file."""
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
        """The share of the image, 0..1, of each class present, the largest first."""
        return {row["name"]: row["area"] for row in self.rows()}

    def overlay(self) -> Image:
        """The image under its classes' colours, at its own size."""
        return draw.overlay(self.image, self.labels, self.classes)

    def save(self, folder: Path | str) -> Path:
        """Write `<name>.png`, `<name>_overlay.jpg` and `<name>.json`; the path of the first, the label map.

        Raises:
            ImageError: a file cannot be written, or would take the place of the image itself.
        """
        base = Path(folder) / self.name
        drawn = "_overlay.jpg" if max(self.labels.shape) < JPEG_PX else "_overlay.png"
        labels, overlay, summary = (base.with_name(base.name + end) for end in (".png", drawn, ".json"))
        if self.source is not None and self.source.resolve() in (labels.resolve(), overlay.resolve()):
            raise ImageError(
                f"{self.source} would be overwritten by its own result",
                advice="choose another output folder",
            )
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
            "classes": self.rows(),
        }

    def rows(self) -> list[dict]:
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
    """An image of a stream that could not be segmented."""

    path: Path
    error: CGRSegError
