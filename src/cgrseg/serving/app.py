"""The FastAPI application: routes, middleware, error handlers, and the page /docs.

That page is the OpenAPI document as plain HTML, without scripts or resources from other hosts.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
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
from cgrseg.serving.middleware import RequestMiddleware
from cgrseg.serving.state import ServerState, state_of

PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .35rem 0 } summary code { font-weight: 600 }
details { border-top: 1px solid #8886 } h2 { margin-top: 2rem }
table { border-collapse: collapse; margin: .5rem 0 1rem } td { padding: .15rem 1rem .15rem 0; vertical-align: top }
"""
DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
DOCS_POLICY = (
    f"default-src 'none'; style-src 'sha256-{DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: browsers apply its own style and load nothing else."""


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


def render_docs(document: dict) -> str:
    """Render an OpenAPI document as an HTML page."""
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    body = "".join(f"<h2>{escape(name)}</h2>{''.join(entries)}" for name, entries in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f'<h1>{title}</h1><p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>{body}</body></html>'
    )


def _operation(method: str, path: str, operation: dict) -> str:
    """One operation: its description, parameters, request body and responses."""
    parameters = [(parameter["name"], _parameter(parameter)) for parameter in operation.get("parameters", [])]
    body = operation.get("requestBody", {})
    parameters += [(media_type, body.get("description", "")) for media_type in body.get("content", {})]
    responses = [(status, _response(response)) for status, response in operation["responses"].items()]
    description = escape(operation.get("description", ""))
    head = f"<summary><code>{method.upper()} {escape(path)}</code> {description}</summary>"
    return f"<details>{head}{_table('Takes', parameters)}{_table('Gives', responses)}</details>"


def _parameter(parameter: dict) -> str:
    """A parameter in words: where it is sent, its description, its choices."""
    schema = parameter.get("schema", {})
    choices = next((part["enum"] for part in [schema, *schema.get("anyOf", [])] if "enum" in part), [])
    words = [f"in the {parameter['in']}", parameter.get("description", ""), " ".join(map(str, choices))]
    return "; ".join(word.rstrip(".") for word in words if word)


def _response(response: dict) -> str:
    """A response in words: its description and media types."""
    types = ", ".join(response.get("content", {}))
    return f"{response['description']} ({types})" if types else response["description"]


def _table(name: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td><code>{escape(left)}</code></td><td>{escape(right)}</td></tr>" for left, right in rows)
    return f"<h4>{name}</h4><table>{lines}</table>"
