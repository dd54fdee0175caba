"""The images behind the scores: the worst and the best, each with all that a browser needs to show and question it.

    mIoU of each image -- worst, best -- segmented once more --+-- image: JPEG
                                                                 +-- truth, labels: class numbers
                                                                 +-- confidence: percent
                                                                 +-- what was taken for what

Maps go as zlib streams of their bytes and not as images: browsers may change what is read back from an image, to
colours of the screen or on purpose, and class numbers must arrive as they are.

Axes: H W image rows and columns, k classes.
"""

import base64
import io
import statistics
import time
import zlib

import cv2
import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image as Pillow

from cgrseg.data.datasets import LabelledImages
from cgrseg.evaluation import Evaluation
from cgrseg.metrics import confusion, scores
from cgrseg.predictor import Segmenter
from cgrseg.types import Image, LabelMap, Size

SHOWN = 6
"""Of the worst, and as many of the best."""
LONG_PX = 640
"""Longer side of what is shown."""
QUALITY = 82
MISTAKES = 5
"""The most that are named of an image."""


def show_images(evaluation: Evaluation, segmenter: Segmenter, dataset: LabelledImages) -> tuple[list[dict], float]:
    """The chosen images as plain values, and the median of the seconds that the label map of one took."""
    own, shown, seconds = evaluation.areas.picture_miou(), [], []
    for group, index in choose_images(own.tolist()):
        image, truth = dataset.image(index), dataset.plain_labels(index)
        start = time.perf_counter()
        answer = segmenter(image)
        seconds.append(time.perf_counter() - start)
        about = {"name": evaluation.names[index], "group": group, "miou": float(own[index])}
        maps = show_maps(image, truth, answer.labels, answer.confidence)
        shown.append(about | maps | examine(truth, answer.labels, len(evaluation.classes)))
    return shown, statistics.median(seconds) if seconds else 0.0


def choose_images(mious: list[float]) -> list[tuple[str, int]]:
    """The worst, the worst first, then the best, the best first; none twice, and none without labels."""
    ranked = sorted((miou, index) for index, miou in enumerate(mious) if not np.isnan(miou))
    places = [index for _, index in ranked]
    worst = places[: min(SHOWN, -(-len(places) // 2))]
    best = places[len(worst) :][::-1][:SHOWN]
    return [("worst", index) for index in worst] + [("best", index) for index in best]


def show_maps(image: Image, truth: LabelMap, labels: LabelMap, confidence: np.ndarray) -> dict:
    """The image and its maps at the size they are shown in."""
    height, width = size = shown_size((image.shape[0], image.shape[1]))
    percent = np.rint(100 * confidence).astype(np.uint8)
    maps = {"truth": truth.astype(np.uint8), "labels": labels.astype(np.uint8), "confidence": percent}
    packed = {
        name: pack(cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
        for name, values in maps.items()
    }
    return {"height": height, "width": width, "image": jpeg(image, size)} | packed


def examine(truth: LabelMap, labels: LabelMap, classes: int) -> dict:
    """What was taken for what in one image, at its full size, and how well each of its classes was met."""
    matrix = confusion(truth, labels, classes)
    iou, labelled = scores(matrix).iou, max(1, int(matrix.sum()))
    return {
        "mistakes": largest_mistakes(matrix),
        "labelled": labelled,
        "iou": [[place, value] for place, value in enumerate(iou) if value is not None],
    }


def largest_mistakes(matrix: Int64[np.ndarray, "k k"]) -> list[dict]:
    """The pairs of classes that most pixels were confused between."""
    wrong = matrix - np.diag(matrix.diagonal())
    places = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    pairs = [divmod(int(place), len(matrix)) for place in places]
    return [
        {"truth": truth, "label": label, "pixels": int(wrong[truth, label])}
        for truth, label in pairs
        if wrong[truth, label]
    ]


def shown_size(size: Size) -> Size:
    """The size with the longer side bounded, aspect kept."""
    scale = min(1.0, LONG_PX / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def jpeg(image: Image, size: Size) -> str:
    """The image at this size as an address that holds all of it."""
    file = io.BytesIO()
    opened = Pillow.fromarray(image)
    if size != image.shape[:2]:
        opened = opened.resize((size[1], size[0]), Pillow.Resampling.LANCZOS)
    opened.save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def pack(values: UInt8[np.ndarray, "H W"]) -> str:
    """The bytes of a map, each less its left neighbour (regions become zeros), compressed, as base64."""
    steps = np.diff(values, axis=1, prepend=np.uint8(0))
    return base64.b64encode(zlib.compress(np.ascontiguousarray(steps).tobytes(), 9)).decode()
