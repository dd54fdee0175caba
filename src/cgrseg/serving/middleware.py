"""Outermost ASGI middleware: request id, token, access log and metrics of every request.

request -- id -- one length? -- token? --> app --> response, its end held back until the body is read --> log, metrics
"""

import asyncio
import base64
import binascii
import hmac
import json
import logging
import re
import secrets
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cgrseg.serving.http_errors import CLIENT_CLOSED, RequestError
from cgrseg.serving.metrics import Metrics

access = logging.getLogger("cgrseg.access")
logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[\w.:-]{1,100}")
PUBLIC_PATHS = ("/v2/health/live", "/v2/health/ready")
"""Paths that need no token."""
CHALLENGE = (("WWW-Authenticate", 'Basic realm="cgrseg", charset="UTF-8", Bearer realm="cgrseg"'),)
"""Basic makes browsers ask for the token, as the password of any user. It is first as Chromium ignores the second."""
DRAIN_SECONDS, DRAIN_BYTES = 5.0, 64 << 20
"""How much of an unread body is received and dropped, so that a client that sends first still reads the response."""

TWO_LENGTHS = RequestError(
    "the request has both Content-Length and Transfer-Encoding", advice="send one", headers=(("Connection", "close"),)
)
"""A proxy could take the other one, and then the rest of this request for the next."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Defaults of every response: no type sniffing, no referrer, nothing loaded or run, no caching."""


class Exchange:
    """One request and its response, as they pass through the middleware."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        client_id = headers.get("x-request-id", "")
        self.id = client_id if REQUEST_ID.fullmatch(client_id) else secrets.token_hex(8)
        self.status = 0
        self.kind: str | None = None
        self.is_read = "content-length" not in headers and "transfer-encoding" not in headers
        self.scope, self._receive, self._send = scope, receive, send
        self.app_scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        """What the application sees: HEAD is GET, whose body uvicorn leaves out."""
        self.started = perf_counter()

    async def receive(self) -> Message:
        """Receive the next part of the request."""
        message = await self._receive()
        self.is_read = self.is_read or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response; before the last one, the rest of the request body is read."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if is_last and not self.is_read:
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _drain(self) -> None:
        remaining = DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.is_read and remaining > 0:
                    remaining -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return

    async def send_error(self, error: RequestError) -> None:
        """Respond with an error."""
        self.kind = error.kind
        response = JSONResponse({"error": str(error)}, error.status, error.headers)
        await response(self.scope, self.receive, self.send)


class RequestMiddleware:
    """Checks the token and adds the id, default headers, access log and metrics.

    Args:
        app: the application behind it.
        metrics: counts every request.
        token: required of every request except for health checks; None requires nothing.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, token: str | None) -> None:
        self._app, self._metrics = app, metrics
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        scope.setdefault("state", {})["exchange"] = exchange
        try:
            await self._serve(exchange)
        finally:
            self._record(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        try:
            if self._token is not None and not is_authorized(exchange.scope, self._token):
                error = RequestError("this server needs its token", status=401, kind="token", headers=CHALLENGE)
                await exchange.send_error(error)
                return
            if {"content-length", "transfer-encoding"}.issubset(Headers(scope=exchange.scope).keys()):
                await exchange.send_error(TWO_LENGTHS)
                return
            await self._app(exchange.app_scope, exchange.receive, exchange.send)
        except Exception:
            logger.exception("request %s failed", exchange.id)
            if exchange.status:
                raise
            advice = f"tell the operator: {exchange.id}"
            await exchange.send_error(RequestError("something went wrong", advice, status=500, kind="internal"))

    def _record(self, exchange: Exchange) -> None:
        """Count the request and write its line of the access log."""
        scope = exchange.scope
        route = getattr(exchange.app_scope.get("route"), "path", "other")
        status = exchange.status or CLIENT_CLOSED
        kind = exchange.kind or (None if status < 400 else "gone" if status == CLIENT_CLOSED else "request")
        self._metrics.count(route, status, kind)
        line = {
            "id": exchange.id,
            "client": (scope.get("client") or ("-",))[0],
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "error": kind,
            "seconds": round(perf_counter() - exchange.started, 6),
        }
        access.info("%s", json.dumps(line, ensure_ascii=True))


def is_authorized(scope: Scope, token: str) -> bool:
    """Whether a request carries the token, or is for a path that needs none."""
    if scope["path"] in PUBLIC_PATHS:
        return True
    presented = _token_in(Headers(scope=scope).get("authorization", ""))
    return hmac.compare_digest(presented, token.encode())


def _token_in(authorization: str) -> bytes:
    """The token in an Authorization header: as it is (Bearer) or as the password (Basic)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
