"""The FastAPI application: routes, middleware and error handlers."""

import asyncio
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
from cgrseg.serving import ServeConfig, oip, routes
from cgrseg.serving.fetch import Fetcher
from cgrseg.serving.http_errors import RequestError
from cgrseg.serving.metadata import DOCS_POLICY, render_docs
from cgrseg.serving.middleware import RequestMiddleware
from cgrseg.serving.state import ServerState, state_of

PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}


def build_app(
    config: ServeConfig,
    load_weights: Callable[[str], Segmenter] | None = None,
    fetcher: Fetcher | None = None,
    *,
    loads_first: bool = False,
) -> FastAPI:
    """Build the application; its models start to load when it starts up.

    Args:
        config: the settings.
        load_weights: replaces `cgrseg.load` with the engine of the settings.
        fetcher: replaces the one that fetches from public addresses only.
        loads_first: whether it starts up only when its models are loaded, or failed.

    Raises:
        CGRSegError: two models have the same name, or a name does not fit into a URL.
    """
    state = ServerState(config, load_weights, fetcher)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001  the signature that FastAPI calls
        state.start()
        if loads_first:
            await asyncio.to_thread(state.wait_loaded)
        yield
        state.stop()

    app = FastAPI(
        title="cgrseg",
        version=cgrseg.__version__,
        summary="Images to label maps",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.server = state
    app.include_router(routes.router, tags=["Segmentation"])
    app.include_router(oip.router, tags=["Open Inference Protocol"])
    app.add_api_route("/metrics", _metrics, methods=["GET"], response_class=Response, tags=["operation"])
    app.add_api_route("/docs", _docs, methods=["GET"], include_in_schema=False)
    app.mount("/", _page(), name="page")
    for error_type in (CGRSegError, HTTPException, RequestValidationError):
        app.add_exception_handler(error_type, _handle_error)
    app.add_middleware(RequestMiddleware, metrics=state.metrics, token=config.token)
    return app


def _page() -> ASGIApp:
    """The web page, with headers that restrict it to this server and make browsers revalidate it."""
    files = StaticFiles(directory=PAGE, packages=[("cgrseg", "assets/style")], html=True)

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(PAGE_HEADERS)
            await send(message)

        await files(scope, receive, send_with_headers)

    return page


async def _docs(request: Request) -> HTMLResponse:
    """The API documentation as a page."""
    return HTMLResponse(render_docs(request.app.openapi()), headers={"Content-Security-Policy": DOCS_POLICY})


async def _metrics(request: Request) -> Response:
    """Metrics in Prometheus' text format."""
    return Response(state_of(request).metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _handle_error(request: Request, error: Exception) -> Response:
    """The response for an error that a client or an operator can fix: a status and one sentence."""
    request_error = _as_request_error(error)
    request.state.exchange.kind = request_error.kind
    return JSONResponse({"error": str(request_error)}, request_error.status, request_error.headers)


def _as_request_error(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    if isinstance(error, HTTPException):
        headers = tuple((error.headers or {}).items())
        return RequestError(str(error.detail).lower(), status=error.status_code, headers=headers)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        parameter = ".".join(map(str, first["loc"][1:]))
        return RequestError(f"{parameter}: {first['msg'][:1].lower()}{first['msg'][1:300]}", status=422)
    return RequestError(str(error), kind="picture")
