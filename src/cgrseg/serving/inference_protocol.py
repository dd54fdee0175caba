"""The Open Inference Protocol (KServe v2) over HTTP: health, metadata, infer."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

import cgrseg
from cgrseg.serving.house import house_of

router = APIRouter(prefix="/v2")


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
