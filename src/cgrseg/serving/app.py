"""The application: routes, the guard before them, and every error as one sentence."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import cgrseg
from cgrseg.errors import CGRSegError
from cgrseg.predictor import Segmenter
from cgrseg.serving import metadata as describing
from cgrseg.serving import oip as inference_protocol
from cgrseg.serving import routes
from cgrseg.serving.fetch import Fetcher
from cgrseg.serving.http_errors import Refusal
from cgrseg.serving.metadata import describe
from cgrseg.serving.middleware import Guard
from cgrseg.serving.settings import ServeConfig
from cgrseg.serving.state import House, house_of

PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def build_app(
    config: ServeConfig, load_weights: Callable[[str], Segmenter] | None = None, fetcher: Fetcher | None = None
) -> FastAPI:
    """The application of a server; its models load once it runs.

    Args:
        config: its settings.
        load_weights: takes the place of `cgrseg.load` with the settings' engine.
        fetcher: takes the place of the one that fetches from public addresses only.

    Raises:
        CGRSegError: two models would have one name.
    """
    house = House(config, load_weights, fetcher)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001  FastAPI calls it so
        house.start()
        yield
        house.stop()

    app = FastAPI(
        title="cgrseg",
        version=cgrseg.__version__,
        summary="Images to label maps",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.house = house
    app.include_router(routes.router, tags=["pictures"])
    app.include_router(inference_protocol.router, tags=["Open Inference Protocol"])
    app.add_api_route("/metrics", _metrics, methods=["GET"], response_class=Response, tags=["operation"])
    app.add_api_route("/docs", _docs, methods=["GET"], include_in_schema=False)
    app.mount("/", _page(), name="page")
    for kind in (CGRSegError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _refuse)
    app.add_middleware(Guard, counters=house.counters, token=config.token)
    return app


def _page() -> ASGIApp:
    """The page, which loads from this server only, and is asked for again whether it changed."""
    files = StaticFiles(directory=PAGE, html=True)

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(PAGE_HEADERS)
            await send(message)

        await files(scope, receive, dressed)

    return page


async def _docs(request: Request) -> HTMLResponse:
    """Every address, for people."""
    return HTMLResponse(describe(request.app.openapi()), headers={"Content-Security-Policy": describing.POLICY})


async def _metrics(request: Request) -> Response:
    """Counters in Prometheus' text format."""
    return Response(house_of(request).counters.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _refuse(request: Request, error: Exception) -> Response:
    """Any error that is somebody's mistake, as one sentence."""
    refusal = _as_refusal(error)
    request.state.exchange.kind = refusal.kind
    return JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)


def _as_refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, HTTPException):
        return Refusal(error.status_code, "request", str(error.detail).lower(), dict(error.headers or {}))
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:]))
        return Refusal(422, "request", f"{place}: {first['msg'][:1].lower()}{first['msg'][1:300]}")
    return Refusal(400, "picture", str(error))
