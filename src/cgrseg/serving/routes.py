"""Routes under /v1: models, segmentation and example images."""

import asyncio
from functools import partial
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from cgrseg.serving.http_errors import RequestError
from cgrseg.serving.models import SAMPLES, sample_names
from cgrseg.serving.request import (
    FIELD,
    cancel_on_disconnect,
    deadline_of,
    media_type_of,
    read_image,
    read_image_by_url,
)
from cgrseg.serving.response import ACCEPTED, Format, Masks, ResponseOptions, choose_format, encode
from cgrseg.serving.state import state_of

router = APIRouter()

BINARY = {"type": "string", "format": "binary"}
FORM = {"type": "object", "required": [FIELD], "properties": {FIELD: BINARY}}
URL = {
    "type": "object",
    "required": ["url"],
    "properties": {"url": {"type": "string", "example": "https://example.org/street.jpg"}},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file of an image, a form with the field `image`, or (with `--allow-url`) its URL.",
        "content": {
            "image/*": {"schema": BINARY},
            "application/octet-stream": {"schema": BINARY},
            "multipart/form-data": {"schema": FORM},
            "application/json": {"schema": URL},
        },
    }
}
ERROR_BODY = {"schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}}
EXAMPLE = {
    "model": "cgrseg-lite-everyday",
    "height": 720,
    "width": 1280,
    "confidence": 0.93,
    "areas": [{"label": 3, "name": "road", "area": 0.31, "pixels": 285_696}],
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {"application/json": ERROR_BODY}}
    for status, description in {
        400: "The image or the request cannot be read",
        401: "The token is missing or wrong",
        403: "This server does not fetch images by URL",
        404: "Unknown model",
        406: "No format matches Accept",
        413: "The body or the image is too large",
        415: "The content type is not an image",
        422: "The format cannot represent the result, or a parameter is invalid",
        503: "Busy, loading or failed; see Retry-After",
        504: "The deadline passed",
    }.items()
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The segmented image",
        "content": {media_type: {"schema": BINARY} for media_type in ACCEPTED}
        | {"application/json": {"example": EXAMPLE}},
    }
}


@router.get("/v1/models")
async def list_models(request: Request) -> dict[str, Any]:
    """The models with their status, and the limits of this server."""
    state = state_of(request)
    limits = {
        "body_bytes": state.config.body_bytes,
        "pixels": state.config.pixels,
        "needs_token": state.config.token is not None,
    }
    models = [queue.model.describe() for queue in state.queues.values()]
    return {"models": models, "default": state.default, "limits": limits}


@router.post("/v1/segment", response_class=Response, responses=RESPONSES | ERRORS, openapi_extra=BODY)
async def segment(
    request: Request,
    model: Annotated[str | None, Query(description="A name from `/v1/models`; the default model if not given.")] = None,
    format_name: Annotated[Format | None, Query(alias="format", description="Chosen by `Accept` if not given.")] = None,
    masks: Annotated[
        Masks, Query(description="Adds the mask of each class to JSON: COCO run lengths or polygons.")
    ] = "none",
) -> Response:
    """Segment the image in the body, or at the URL in the body."""
    state = state_of(request)
    deadline = deadline_of(request, state.config)
    queue = state.queue(model)
    accept = request.headers.get("accept", "")
    options = ResponseOptions(queue.model.name, choose_format(format_name, accept), masks)
    queue.require_capacity()
    if media_type_of(request) == "application/json":
        data = await read_image_by_url(request, state, deadline)
    else:
        data = await read_image(request, state.config, deadline)
    source = await asyncio.to_thread(state.decoders.source, data)
    work = queue.segment(source, partial(encode, options=options), deadline)
    encoded = await cancel_on_disconnect(request, work)
    return Response(encoded.body, media_type=encoded.media_type, headers=encoded.headers)


@router.get("/v1/examples")
async def list_examples() -> list[str]:
    """The names of the example images in the package."""
    return sample_names()


@router.get("/v1/examples/{name}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}} | ERRORS)
async def example(name: str) -> Response:
    """An example image from the package."""
    if name not in sample_names():
        raise RequestError(
            f"no example is called {name[:100]!r}", advice="GET /v1/examples names them", status=404, kind="unknown"
        )
    with resources.as_file(SAMPLES / name) as path:
        return Response(path.read_bytes(), media_type="image/jpeg")
