"""Routes of the Open Inference Protocol (KServe v2) over HTTP: health, metadata, infer."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

import cgrseg
from cgrseg.serving.oip_tensors import LENGTH_HEADER, VERSION, build_response, parse_request
from cgrseg.serving.request import cancel_on_disconnect, deadline_of, read_body
from cgrseg.serving.routes import BINARY, ERRORS
from cgrseg.serving.state import state_of
from cgrseg.types import IGNORE

router = APIRouter(prefix="/v2")

MODEL_ERRORS: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (401, 404, 503)}
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
INFER_REQUEST = {
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
        "description": f"JSON; binary tensors may follow it if `{LENGTH_HEADER}` gives its length.",
        "content": {"application/json": {"schema": INFER_REQUEST}, "application/octet-stream": {"schema": BINARY}},
    }
}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """Whether the process responds."""
    return {"live": True}


@router.get("/health/ready", responses={503: {"description": "A model is loading or failed, or the server stops"}})
async def ready(request: Request) -> JSONResponse:
    """Whether every model is ready."""
    state = state_of(request)
    models = {name: queue.model.status.state for name, queue in state.queues.items()}
    health: dict[str, Any] = {"ready": state.is_ready, "stopping": state.should_exit(), "models": models}
    return JSONResponse(health, 200 if state.is_ready else 503)


@router.get("")
async def server_metadata() -> dict[str, Any]:
    """Name, version and extensions of the server."""
    return {"name": "cgrseg", "version": cgrseg.__version__, "extensions": ["binary_tensor_data"]}


@router.get("/models/{name}", responses=MODEL_ERRORS)
@router.get("/models/{name}/versions/1", include_in_schema=False)
async def model_metadata(request: Request, name: str) -> dict[str, Any]:
    """Inputs and outputs of a model: give one of the inputs; `confidence` is returned on request."""
    segmenter = state_of(request).queue(name).model.require()
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


@router.get("/models/{name}/ready", responses=MODEL_ERRORS)
@router.get("/models/{name}/versions/1/ready", include_in_schema=False)
async def model_ready(request: Request, name: str) -> JSONResponse:
    """Whether a model is ready."""
    state = state_of(request)
    is_ready = state.queue(name).model.status.state == "ready" and not state.should_exit()
    return JSONResponse({"name": name, "ready": is_ready}, 200 if is_ready else 503)


@router.post("/models/{name}/infer", response_class=Response, responses=ERRORS, openapi_extra=BODY)
@router.post("/models/{name}/versions/1/infer", response_class=Response, include_in_schema=False)
async def infer(request: Request, name: str) -> Response:
    """Segment the image in the tensor `image` (RGB values) or `encoded` (a file)."""
    state = state_of(request)
    deadline = deadline_of(request, state.config)
    queue = state.queue(name)
    queue.require_capacity()
    body = await read_body(request, state.config.body_bytes, deadline)
    header = request.headers.get(LENGTH_HEADER)
    parsed = await asyncio.to_thread(parse_request, body, header, state.config)
    source = await asyncio.to_thread(parsed.source, state.decoders)
    work = queue.segment(source, partial(build_response, request=parsed, model=name), deadline)
    response = await cancel_on_disconnect(request, work)
    return Response(response.body, headers=response.headers)
