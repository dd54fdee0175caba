"""What every request passes first and last: its id, the token, the log, the counters.

request -- id -- token? --> app --> answer, its end held back until the rest of the body was read --> log, count
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

from cgrseg.serving.http_errors import GONE, Refusal
from cgrseg.serving.metrics import Counters

access = logging.getLogger("cgrseg.access")
logger = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[\w.:-]{1,100}")
OPEN_PATHS = ("/v2/health/live", "/v2/health/ready")
"""What is answered without a token."""
CHALLENGE = {"WWW-Authenticate": 'Basic realm="cgrseg", charset="UTF-8", Bearer realm="cgrseg"'}
"""Basic is for browsers: they ask people for the token, the password of any user. Chromium heeds the first one only."""
DRAIN_SECONDS, DRAIN_BYTES = 5.0, 64 << 20
"""How much of an unread body is taken and dropped, so that its sender gets to read the answer."""


HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer that does not say otherwise: it is what its type says, for whoever asked, and runs nothing."""


class Exchange:
    """One request and its answer, as the guard sees them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self.id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.status = 0
        self.kind: str | None = None
        self.is_read = "content-length" not in headers and "transfer-encoding" not in headers
        self.scope, self._receive, self._send = scope, receive, send
        self.started = perf_counter()

    async def receive(self) -> Message:
        """The next part of the request."""
        message = await self._receive()
        self.is_read = self.is_read or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer; before the last, what is left of the request is read."""
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
        left = DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while not self.is_read and left > 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal."""
        self.kind = refusal.kind
        answer = JSONResponse({"error": str(refusal)}, refusal.status, refusal.headers)
        await answer(self.scope, self.receive, self.send)


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, counters: Counters, token: str | None) -> None:
        self._app, self._counters = app, counters
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
            self._note(exchange)

    async def _serve(self, exchange: Exchange) -> None:
        try:
            if self._token is not None and not is_known(exchange.scope, self._token):
                await exchange.refuse(Refusal(401, "token", "this server needs its token", CHALLENGE))
                return
            await self._app(exchange.scope, exchange.receive, exchange.send)
        except Exception:
            logger.exception("request %s failed", exchange.id)
            if exchange.status:
                raise
            await exchange.refuse(Refusal(500, "internal", f"something went wrong; tell the operator: {exchange.id}"))

    def _note(self, exchange: Exchange) -> None:
        """Count the request, and write its line of the access log."""
        scope = exchange.scope
        route = getattr(scope.get("route"), "path", "other")
        status = exchange.status or GONE
        kind = exchange.kind or (None if status < 400 else "gone" if status == GONE else "request")
        self._counters.count(route, status, kind)
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


def is_known(scope: Scope, token: str) -> bool:
    """Whether a request may go on: it shows the token, or asks for health only."""
    if scope["path"] in OPEN_PATHS:
        return True
    shown = _shown(Headers(scope=scope).get("authorization", ""))
    return hmac.compare_digest(shown, token.encode())


def _shown(authorization: str) -> bytes:
    """The token in a header: as it is (Bearer), or as the password (Basic)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
