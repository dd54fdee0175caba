"""What the tests of reports share: six small images whose label maps are known, each pixel its strongest colour."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.colour_engine import CLASSES

from cgrseg.classes import ClassTable
from cgrseg.data.datasets import LabelledImages
from cgrseg.data.images import write_image, write_palette_png
from cgrseg.evaluation import Evaluation
from cgrseg.predictor import Segmenter

HEIGHT, WIDTH = 48, 64
STRANGE = ClassTable(("<b>&\"red'", "</script><!--green", "blue ☃"), CLASSES.colours)
"""Names that would break a page which takes them for HTML."""
NAMES = ("all right", "a third wrong & <i>", "half wrong%20", 'two "thirds" wrong', "all wrong#", "nothing labelled")
"""Of the images; label 0 is true in all of them, except where nothing is."""


@dataclass(frozen=True)
class Scene:
    """What a report is written of."""

    segmenter: Segmenter
    dataset: LabelledImages
    evaluation: Evaluation


def draw(root: Path, name: str, wrong: float) -> None:
    """A red image labelled red whose right part is blue."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[..., 0] = 200
    image[:, round(WIDTH * (1 - wrong)) :] = (0, 0, 200)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:8] = 255
    if name.startswith("nothing"):
        labels[:] = 255
    write_image(root / f"images/val/{name}.png", image)
    write_palette_png(root / f"annotations/val/{name}.png", labels, STRANGE.colours)


def content_of(page: Path) -> dict:
    """What a page shows."""
    text = page.read_text(encoding="utf-8")
    start = text.index('id="content">') + len('id="content">')
    return json.loads(text[start : text.index("</script>", start)])
