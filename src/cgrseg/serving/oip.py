"""The Open Inference Protocol (KServe v2) over HTTP: health, metadata, infer."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

import cgrseg
from cgrseg.serving.oip_tensors import LENGTH_HEADER, VERSION, read_question, reply
from cgrseg.serving.request import deadline_of, read_body, unless_gone
from cgrseg.serving.routes import BINARY, ERRORS
from cgrseg.serving.state import house_of
from cgrseg.types import IGNORE

router = APIRouter(prefix="/v2")

UNKNOWN: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (401, 404, 503)}
INPUT = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string"},
        "datatype": {"enum": ["UINT8", "BYTES"]},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array", "items": {}},
        "parameters": {"type": "object"},
    },
}
QUESTION = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": INPUT},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "parameters": {"type": "object"},
    },
    "example": {"inputs": [{"name": "encoded", "datatype": "BYTES", "shape": [1], "data": ["/9j/4AAQ..."]}]},
}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"JSON; tensors may follow it as bytes, if `{LENGTH_HEADER}` says where it ends.",
        "content": {"application/json": {"schema": QUESTION}, "application/octet-stream": {"schema": BINARY}},
    }
}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The server answers."""
    return {"live": True}


@router.get("/health/ready", responses={503: {"description": "A model is loading or failed, or the server stops"}})
async def ready(request: Request) -> JSONResponse:
    """Every model serves."""
    house = house_of(request)
    models = {name: line.model.status.state for name, line in house.lines.items()}
    told: dict[str, Any] = {"ready": house.is_ready, "stopping": house.is_stopping, "models": models}
    return JSONResponse(told, 200 if house.is_ready else 503)


@router.get("")
async def server_metadata() -> dict[str, Any]:
    """The server."""
    return {"name": "cgrseg", "version": cgrseg.__version__, "extensions": ["binary_tensor_data"]}


@router.get("/models/{name}", responses=UNKNOWN)
@router.get("/models/{name}/versions/1", include_in_schema=False)
async def model_metadata(request: Request, name: str) -> dict[str, Any]:
    """A model: either input will do, `confidence` comes where it is asked for."""
    segmenter = house_of(request).line(name).model.require()
    labels = "UINT8" if len(segmenter.classes) <= IGNORE else "UINT16"
    return {
        "name": name,
        "versions": [VERSION],
        "platform": f"cgrseg_{segmenter.engine.name}",
        "inputs": [
            {"name": "image", "datatype": "UINT8", "shape": [1, -1, -1, 3]},
            {"name": "encoded", "datatype": "BYTES", "shape": [1]},
        ],
        "outputs": [
            {"name": "labels", "datatype": labels, "shape": [1, -1, -1]},
            {"name": "confidence", "datatype": "FP32", "shape": [1, -1, -1]},
        ],
    }


@router.get("/models/{name}/ready", responses=UNKNOWN)
@router.get("/models/{name}/versions/1/ready", include_in_schema=False)
async def model_ready(request: Request, name: str) -> JSONResponse:
    """Whether a model serves."""
    house = house_of(request)
    is_ready = house.line(name).model.status.state == "ready" and not house.is_stopping
    return JSONResponse({"name": name, "ready": is_ready}, 200 if is_ready else 503)


@router.post("/models/{name}/infer", response_class=Response, responses=ERRORS, openapi_extra=BODY)
@router.post("/models/{name}/versions/1/infer", response_class=Response, include_in_schema=False)
async def infer(request: Request, name: str) -> Response:
    """Segment the image in the tensor `image` (RGB numbers) or `encoded` (a file)."""
    house = house_of(request)
    deadline = deadline_of(request, house.config)
    line = house.line(name)
    line.require_place()
    body = await read_body(request, house.config.body_bytes, deadline)
    header = request.headers.get(LENGTH_HEADER)
    question = await asyncio.to_thread(read_question, body, header, house.config)
    work = line.segment(question.decode, partial(reply, question=question, model=name), deadline)
    answer = await unless_gone(request, work)
    return Response(answer.body, headers=answer.headers)
