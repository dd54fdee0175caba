"""Encodes a segmentation as the body of a response: one function for each format.

Segmentation --+-- png      the label map, the same bytes that `cgrseg predict` writes
+-- overlay  the image under the colours of its classes, JPEG
+-- json     areas, and masks on request
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
from cgrseg.data.masks import find_runs, trace_polygons
from cgrseg.predictor import Segmentation
from cgrseg.predictor.saving import JPEG_PX
from cgrseg.serving.http_errors import RequestError

Format = Literal["png", "overlay", "json", "npz", "maps"]
Masks = Literal["none", "rle", "polygons"]

JPEG_QUALITY = 90
MAPS_LEVEL = 1
"""zlib's compression level of `maps`: the fastest, as a person waits and the network is usually quick."""


@dataclass(frozen=True)
class Encoded:
    """The body and headers of a response."""

    body: bytes
    media_type: str
    headers: dict[str, str]


@dataclass(frozen=True)
class ResponseOptions:
    """How a result is encoded, and the name of the model that made it."""

    model: str
    format: Format
    masks: Masks = "none"


def encode(result: Segmentation, options: ResponseOptions) -> Encoded:
    """Encode a segmentation.

    Raises:
        RequestError: the format cannot represent it.
    """
    height, width = result.labels.shape
    headers = {"X-Model": options.model, "X-Height": str(height), "X-Width": str(width)}
    media_type, body = ENCODERS[options.format](result, options)
    return Encoded(body, media_type, headers)


def _png(result: Segmentation, options: ResponseOptions) -> tuple[str, bytes]:  # noqa: ARG001
    return "image/png", _saved(palette_image(result.labels, result.classes.colours), "PNG")


def _overlay(result: Segmentation, options: ResponseOptions) -> tuple[str, bytes]:  # noqa: ARG001
    if max(result.labels.shape) >= JPEG_PX:
        raise RequestError(
            f"a side of {JPEG_PX:,} pixels or more does not fit in a JPEG",
            advice="ask for format=png",
            status=422,
            kind="format",
        )
    return "image/jpeg", _saved(Pillow.fromarray(result.overlay()), "JPEG", quality=JPEG_QUALITY)


def _json(result: Segmentation, options: ResponseOptions) -> tuple[str, bytes]:
    height, width = result.labels.shape
    document = {
        "model": options.model,
        "height": height,
        "width": width,
        "confidence": float(result.confidence.mean(dtype=np.float64)),
        "areas": _areas(result, options.masks),
    }
    return "application/json", json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _areas(result: Segmentation, masks: Masks) -> list[dict]:
    """The area of each class in the image, largest first, with its mask or polygons on request."""
    rows = [
        {"label": row["label"], "name": row["name"], "area": row["area"], "pixels": row["pixels"]}
        for row in result.rows()
    ]
    if masks == "rle":
        runs = find_runs(result.labels)
        return [row | {"mask": runs.mask(row["label"])} for row in rows]
    if masks == "polygons":
        return [row | {"polygons": trace_polygons(result.labels, row["label"])} for row in rows]
    return rows


def _npz(result: Segmentation, options: ResponseOptions) -> tuple[str, bytes]:  # noqa: ARG001
    file = io.BytesIO()
    np.savez_compressed(file, labels=result.labels, confidence=result.confidence)
    return "application/x-npz", file.getvalue()


def _maps(result: Segmentation, options: ResponseOptions) -> tuple[str, bytes]:  # noqa: ARG001
    if result.labels.dtype != np.uint8:
        raise RequestError(
            f"{len(result.classes)} classes do not fit in 8 bits",
            advice="ask for format=npz",
            status=422,
            kind="format",
        )
    confidence = np.rint(result.confidence * 255).astype(np.uint8)
    return "application/octet-stream", zlib.compress(result.labels.tobytes() + confidence.tobytes(), MAPS_LEVEL)


def _saved(image: Pillow.Image, image_format: str, **settings: int) -> bytes:
    file = io.BytesIO()
    image.save(file, format=image_format, **settings)
    return file.getvalue()


ENCODERS: dict[Format, Callable[[Segmentation, ResponseOptions], tuple[str, bytes]]] = {
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
"""Media types in `Accept`, in order of preference where several match."""


def choose_format(query: Format | None, accept: str) -> Format:
    """The format of the response: the one named by the query, else the best match of the `Accept` header.

    Raises:
        RequestError: `Accept` matches no format.
    """
    if query is not None:
        return query
    for pattern in _by_preference(accept or "*/*"):
        for media_type, name in ACCEPTED.items():
            if pattern in (media_type, "*/*", media_type.split("/")[0] + "/*"):
                return name
    raise RequestError(
        f"none of {accept[:200]!r} is available",
        advice=f"accept one of {', '.join(ACCEPTED)}, or give format=",
        status=406,
        kind="format",
    )


def _by_preference(accept: str) -> list[str]:
    """The media types of an `Accept` header, highest weight first."""
    weighted: list[tuple[float, str]] = []
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [piece[2:] for piece in parameters if piece.startswith("q=")]
        weighted.append((_number(weights[0]) if weights else 1.0, media_type))
    return [media_type for weight, media_type in sorted(weighted, key=lambda entry: -entry[0]) if weight > 0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


assert set(ENCODERS) == set(get_args(Format))
