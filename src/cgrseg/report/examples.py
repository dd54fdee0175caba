"""Images shown in a report: the worst and the best, each with its truth, labels and confidence.

    mIoU of each image -- worst, best -- segmented again --+-- image: JPEG
                                                           +-- truth, labels: class numbers
                                                           +-- confidence: percent
                                                           +-- largest confusions

Maps are sent as zlib streams of their bytes, not as images: browsers may alter the pixels that are read back from an
image, for colour management or against fingerprinting, and class numbers must not change.

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
"""Number of the worst images, and of the best."""
LONG_PX = 640
"""Longer side of a shown image."""
QUALITY = 82
"""JPEG quality, of 100."""
MISTAKES = 5
"""Largest number of confusions listed for one image."""


def show_images(evaluation: Evaluation, segmenter: Segmenter, dataset: LabelledImages) -> tuple[list[dict], float]:
    """The chosen images as plain values, and the median seconds that the label map of one took."""
    dataset = dataset.with_levels(segmenter.info.levels)
    mious, shown, seconds = evaluation.areas.image_miou(), [], []
    for group, index in choose_images(mious.tolist()):
        image, truth = dataset.image(index), dataset.plain_labels(index)
        start = time.perf_counter()
        answer = segmenter(image)
        seconds.append(time.perf_counter() - start)
        header = {"name": evaluation.names[index], "group": group, "miou": float(mious[index])}
        maps = show_maps(image, truth, answer.labels, answer.confidence)
        shown.append(header | maps | examine(truth, answer.labels, len(evaluation.classes)))
    return shown, statistics.median(seconds) if seconds else 0.0


def choose_images(mious: list[float]) -> list[tuple[str, int]]:
    """Indices of the worst images, worst first, then of the best, best first; none twice, none without labels."""
    ranked = sorted((miou, index) for index, miou in enumerate(mious) if not np.isnan(miou))
    indices = [index for _, index in ranked]
    worst = indices[: min(SHOWN, -(-len(indices) // 2))]
    best = indices[len(worst) :][::-1][:SHOWN]
    return [("worst", index) for index in worst] + [("best", index) for index in best]


def show_maps(image: Image, truth: LabelMap, labels: LabelMap, confidence: np.ndarray) -> dict:
    """The image and its maps, resized for the page."""
    height, width = size = shown_size((image.shape[0], image.shape[1]))
    percent = np.rint(100 * confidence).astype(np.uint8)
    maps = {"truth": truth.astype(np.uint8), "labels": labels.astype(np.uint8), "confidence": percent}
    packed = {
        name: pack(cv2.resize(values, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
        for name, values in maps.items()
    }
    return {"height": height, "width": width, "image": jpeg(image, size)} | packed


def examine(truth: LabelMap, labels: LabelMap, classes: int) -> dict:
    """Largest confusions, labelled pixels, and IoU of each class of one image, at its full size."""
    matrix = confusion(truth, labels, classes)
    iou, labelled = scores(matrix).iou, max(1, int(matrix.sum()))
    return {
        "mistakes": largest_mistakes(matrix),
        "labelled": labelled,
        "iou": [[label, value] for label, value in enumerate(iou) if value is not None],
    }


def largest_mistakes(matrix: Int64[np.ndarray, "k k"]) -> list[dict]:
    """Pairs of classes with the most confused pixels, largest first."""
    wrong = matrix - np.diag(matrix.diagonal())
    cells = np.argsort(-wrong, axis=None, kind="stable")[:MISTAKES]
    pairs = [divmod(int(cell), len(matrix)) for cell in cells]
    return [
        {"truth": truth, "label": label, "pixels": int(wrong[truth, label])}
        for truth, label in pairs
        if wrong[truth, label]
    ]


def shown_size(size: Size) -> Size:
    """The size scaled down so that the longer side is at most `LONG_PX`."""
    scale = min(1.0, LONG_PX / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def jpeg(image: Image, size: Size) -> str:
    """The image at this size, as a data URL."""
    file = io.BytesIO()
    opened = Pillow.fromarray(image)
    if size != image.shape[:2]:
        opened = opened.resize((size[1], size[0]), Pillow.Resampling.LANCZOS)
    opened.save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def pack(values: UInt8[np.ndarray, "H W"]) -> str:
    """Compress a map to base64: zlib of each byte minus its left neighbour, which turns regions into zeros."""
    steps = np.diff(values, axis=1, prepend=np.uint8(0))
    return base64.b64encode(zlib.compress(np.ascontiguousarray(steps).tobytes(), 9)).decode()
