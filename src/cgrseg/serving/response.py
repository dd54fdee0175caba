"""From a segmentation to the bytes of an answer: one function for each format.

Segmentation --+-- png      the label map, the very file that `cgrseg predict` writes
               +-- overlay  the image under its classes' colours, JPEG
               +-- json     areas, and masks where they are asked for
               +-- npz      labels and confidence, NumPy
               +-- maps     labels and confidence, 8 bits each, for the page
"""

import io
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image as Pillow

from cgrseg.data.images import palette_image
from cgrseg.predictor import Segmentation
from cgrseg.predictor.result import JPEG_PX
from cgrseg.serving.http_errors import Refusal
from cgrseg.serving.rle import find_runs, polygons

Format = Literal["png", "overlay", "json", "npz", "maps"]
Masks = Literal["none", "rle", "polygons"]

QUALITY = 90
SPEED = 1
"""zlib's level for the page's maps: the network between them is fast, the wait is for people."""


@dataclass(frozen=True)
class Encoded:
    """A body and what its headers say."""

    body: bytes
    media_type: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Wish:
    """What an answer shall look like, and whose it is."""

    model: str
    form: Format
    masks: Masks = "none"


def encode(result: Segmentation, wish: Wish) -> Encoded:
    """A segmentation as it was wished for.

    Raises:
        Refusal: the format cannot hold it.
    """
    height, width = result.labels.shape
    headers = {"X-Model": wish.model, "X-Height": str(height), "X-Width": str(width)}
    media_type, body = ENCODERS[wish.form](result, wish)
    return Encoded(body, media_type, headers)


def _png(result: Segmentation, wish: Wish) -> tuple[str, bytes]:  # noqa: ARG001  every encoder is called alike
    return "image/png", _saved(palette_image(result.labels, result.classes.colours), "PNG")


def _overlay(result: Segmentation, wish: Wish) -> tuple[str, bytes]:  # noqa: ARG001
    if max(result.labels.shape) >= JPEG_PX:
        raise Refusal(422, "format", f"a side of {JPEG_PX:,} pixels or more does not fit in a JPEG; ask for format=png")
    return "image/jpeg", _saved(Pillow.fromarray(result.overlay()), "JPEG", quality=QUALITY)


def _json(result: Segmentation, wish: Wish) -> tuple[str, bytes]:
    height, width = result.labels.shape
    told = {
        "model": wish.model,
        "height": height,
        "width": width,
        "confidence": float(result.confidence.mean(dtype=np.float64)),
        "areas": _areas(result, wish.masks),
    }
    return "application/json", json.dumps(told, ensure_ascii=False).encode()


def _areas(result: Segmentation, masks: Masks) -> list[dict]:
    """What is known of each class present, the largest first."""
    rows = [
        {"label": row["label"], "name": row["name"], "area": row["area"], "pixels": row["pixels"]}
        for row in result.rows()
    ]
    if masks == "rle":
        runs = find_runs(result.labels)
        return [row | {"mask": runs.mask(row["label"])} for row in rows]
    if masks == "polygons":
        return [row | {"polygons": polygons(result.labels, row["label"])} for row in rows]
    return rows


def _npz(result: Segmentation, wish: Wish) -> tuple[str, bytes]:  # noqa: ARG001
    file = io.BytesIO()
    np.savez_compressed(file, labels=result.labels, confidence=result.confidence)
    return "application/x-npz", file.getvalue()


def _maps(result: Segmentation, wish: Wish) -> tuple[str, bytes]:  # noqa: ARG001
    if result.labels.dtype != np.uint8:
        raise Refusal(422, "format", f"{len(result.classes)} classes do not fit in 8 bits; ask for format=npz")
    confidence = np.rint(result.confidence * 255).astype(np.uint8)
    return "application/octet-stream", zlib.compress(result.labels.tobytes() + confidence.tobytes(), SPEED)


def _saved(image: Pillow.Image, form: str, **settings: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format=form, **settings)
    return file.getvalue()


ENCODERS: dict[Format, Callable[[Segmentation, Wish], tuple[str, bytes]]] = {
    "png": _png,
    "overlay": _overlay,
    "json": _json,
    "npz": _npz,
    "maps": _maps,
}
ACCEPTED: dict[str, Format] = {
    "image/png": "png",
    "image/jpeg": "overlay",
    "application/json": "json",
    "application/x-npz": "npz",
    "application/octet-stream": "maps",
}
"""What `Accept` may name; whoever takes anything gets the first that fits."""


def choose_format(asked: Format | None, accept: str) -> Format:
    """The format that a request wants: by name, else the one that its `Accept` likes best.

    Raises:
        Refusal: it accepts none of them.
    """
    if asked is not None:
        return asked
    for wanted in _by_liking(accept or "*/*"):
        for media_type, form in ACCEPTED.items():
            if wanted in (media_type, "*/*", media_type.split("/")[0] + "/*"):
                return form
    kinds = ", ".join(ACCEPTED)
    raise Refusal(406, "format", f"none of {accept[:200]!r} can be given; accept one of {kinds}, or give format=")


def _by_liking(accept: str) -> list[str]:
    """The media types of an `Accept` header, best liked first."""
    liked: list[tuple[float, str]] = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [piece[2:] for piece in parameters if piece.startswith("q=")]
        liked.append((_number(weights[0]) if weights else 1.0, media_type))
    return [media_type for weight, media_type in sorted(liked, key=lambda each: -each[0]) if weight > 0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


assert set(ENCODERS) == set(get_args(Format))
