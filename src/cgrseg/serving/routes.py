"""The service's own routes: models, one image to one answer, and images to try it on."""

from functools import partial
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from cgrseg.serving.http_errors import Refusal
from cgrseg.serving.models import SAMPLES, sample_names
from cgrseg.serving.request import FIELD, deadline_of, decoder, read_image, read_linked, type_of, unless_gone
from cgrseg.serving.response import ACCEPTED, Format, Masks, Wish, choose_format, encode
from cgrseg.serving.state import house_of

router = APIRouter()

BINARY = {"type": "string", "format": "binary"}
FORM = {"type": "object", "required": [FIELD], "properties": {FIELD: BINARY}}
LINK = {
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
            "application/json": {"schema": LINK},
        },
    }
}
SENTENCE = {"schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}}
EXAMPLE = {
    "model": "cgrseg-lite-everyday",
    "height": 720,
    "width": 1280,
    "confidence": 0.93,
    "areas": [{"label": 3, "name": "road", "area": 0.31, "pixels": 285_696}],
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {"application/json": SENTENCE}}
    for status, description in {
        400: "No image, or a request that cannot be read",
        401: "The token is missing",
        403: "This server fetches no images by URL",
        404: "No such model",
        406: "No format that is accepted",
        413: "The body is too long",
        415: "A body that is no image by its type",
        422: "The format cannot hold the answer, or a setting is none",
        503: "Busy, loading or failed; see Retry-After",
        504: "The deadline passed",
    }.items()
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The segmented image",
        "content": {kind: {"schema": BINARY} for kind in ACCEPTED} | {"application/json": {"example": EXAMPLE}},
    }
}


@router.get("/v1/models")
async def list_models(request: Request) -> dict[str, Any]:
    """The models, how far each is, and what this server takes."""
    house = house_of(request)
    limits = {
        "body_bytes": house.config.body_bytes,
        "pixels": house.config.pixels,
        "needs_token": house.config.token is not None,
    }
    models = [line.model.describe() for line in house.lines.values()]
    return {"models": models, "default": house.default, "limits": limits}


@router.post("/v1/segment", response_class=Response, responses=ANSWERS | ERRORS, openapi_extra=BODY)
async def segment(
    request: Request,
    model: Annotated[str | None, Query(description="One of `/v1/models`; the default one if not given.")] = None,
    wanted: Annotated[Format | None, Query(alias="format", description="As `Accept` says if not given.")] = None,
    masks: Annotated[Masks, Query(description="In JSON: each class as COCO run lengths, or polygons.")] = "none",
) -> Response:
    """Segment the image in the body, or at the address that it names."""
    house = house_of(request)
    deadline = deadline_of(request, house.config)
    line = house.line(model)
    wish = Wish(line.model.name, choose_format(wanted, request.headers.get("accept", "")), masks)
    line.require_place()
    if type_of(request) == "application/json":
        data = await read_linked(request, house, deadline)
    else:
        data = await read_image(request, house.config, deadline)
    work = line.segment(decoder(data, house.config), partial(encode, wish=wish), deadline)
    encoded = await unless_gone(request, work)
    return Response(encoded.body, media_type=encoded.media_type, headers=encoded.headers)


@router.get("/v1/examples")
async def list_examples() -> list[str]:
    """The names of the images that come with the package."""
    return sample_names()


@router.get("/v1/examples/{name}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}} | ERRORS)
async def example(name: str) -> Response:
    """One of the images that come with the package."""
    if name not in sample_names():
        raise Refusal(404, "unknown", f"no example is called {name[:100]!r}; GET /v1/examples names them")
    with resources.as_file(SAMPLES / name) as path:
        return Response(path.read_bytes(), media_type="image/jpeg")
