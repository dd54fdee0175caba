"""Reads the image of a request: from its body, a form, or a URL.

    body, limited --+-- raw ---------------------------+-- decode: accepted formats only, size checked first
                    +-- form, field `image` -----------+
                    +-- JSON {"url": ...} -- fetch ----+

Bodies are counted while they arrive. The format of an image is detected from its bytes.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from typing import TypeVar

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from cgrseg.data.images import decode_image
from cgrseg.errors import FetchError, TooLargeError
from cgrseg.serving import ServeConfig
from cgrseg.serving.http_errors import RequestError, body_too_large, client_closed, enforce_deadline
from cgrseg.serving.queue import Decode
from cgrseg.serving.state import ServerState

T = TypeVar("T")

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Accepted formats (JPEG includes MPO): none whose decoder starts another program or goes by the file name."""
RAW = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""Content types of bodies that may be images; the last is the default of `curl --data-binary`."""
FIELD = "image"
DEADLINE_HEADER = "x-deadline-ms"
MAX_JSON_BYTES = 16_384


def deadline_of(request: Request, config: ServeConfig) -> float:
    """The deadline of a request, a time of the event loop's clock; the header X-Deadline-Ms can only shorten it.

    Raises:
        RequestError: the header is not a whole number.
    """
    seconds = config.deadline_s
    value = request.headers.get(DEADLINE_HEADER)
    if value is not None:
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise RequestError(f"X-Deadline-Ms: {value[:50]!r} is not a whole number of milliseconds")
        seconds = min(seconds, int(value) / 1000)
    return asyncio.get_running_loop().time() + seconds


def media_type_of(request: Request) -> str:
    """The media type in the Content-Type header, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int, deadline: float) -> bytes:
    """Read the whole body, up to a limit in bytes.

    Raises:
        RequestError: the body is too large, the deadline passed, or the client closed the connection.
    """
    async with enforce_deadline(deadline):
        return b"".join([chunk async for chunk in _limited(request, limit)])


async def read_image(request: Request, config: ServeConfig, deadline: float) -> bytes:
    """Read an encoded image: the body, or the field `image` of a form.

    Raises:
        RequestError: the content type is not an image's, the form lacks the field, or the body cannot be read.
    """
    media_type = media_type_of(request)
    if media_type == "multipart/form-data":
        async with enforce_deadline(deadline):
            return await _field(request, config.body_bytes)
    if media_type in RAW or media_type.startswith("image/"):
        return await read_body(request, config.body_bytes, deadline)
    raise RequestError(
        f"a body of type {media_type[:100]!r} is not an image",
        advice=f"send image/* or a form with {FIELD!r}",
        status=415,
        kind="type",
    )


def decoder(data: bytes, config: ServeConfig) -> Decode:
    """A function that decodes the image when called, within the limits of the server."""
    return lambda levels: decode_image(data, "the image", levels, formats=FORMATS, most_pixels=config.pixels)


async def _field(request: Request, limit: int) -> bytes:
    """Read the field `image` of a form."""
    try:
        form = await MultiPartParser(request.headers, _limited(request, limit), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError) as error:
        message = error.message if isinstance(error, MultiPartException) else "it names no boundary"
        raise RequestError(f"the form cannot be read: {message.rstrip('.')}") from None
    try:
        field = form.get(FIELD)
        if isinstance(field, UploadFile):
            return await field.read()
    finally:
        await form.close()
    raise RequestError(f"the form has no file in a field named {FIELD!r}")


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Stream the body, and fail as soon as it exceeds the limit."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise body_too_large(limit)
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > limit:
                raise body_too_large(limit)
            yield chunk
    except ClientDisconnect:
        raise client_closed() from None


async def cancel_on_disconnect(request: Request, work: Coroutine[None, None, T]) -> T:
    """Await `work`, and cancel it when the client closes the connection. The body must have been read.

    Raises:
        RequestError: the client closed the connection.
    """
    working, disconnected = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise client_closed()
    finally:
        working.cancel()
        disconnected.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_image_by_url(request: Request, state: ServerState, deadline: float) -> bytes:
    """Fetch the image at the URL that the body names.

    Raises:
        RequestError: fetching is disabled, the URL is invalid or not public, no image came, or the deadline passed.
    """
    if not state.config.allow_url:
        raise RequestError(
            "this server does not fetch images",
            advice="send the image itself, or start the server with --allow-url",
            status=403,
            kind="url",
        )
    url = _url_in(await read_body(request, min(MAX_JSON_BYTES, state.config.body_bytes), deadline))
    async with enforce_deadline(deadline), state.fetch_slots:
        try:
            return await cancel_on_disconnect(request, state.fetcher.fetch(url, state.config.body_bytes))
        except FetchError as error:
            status = 413 if isinstance(error, TooLargeError) else 400
            raise RequestError(error.problem, error.advice, status=status, kind="url") from None


def _url_in(body: bytes) -> str:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("url"), str):
        raise RequestError("the body does not name an image", advice='send {"url": "https://..."}')
    return document["url"]
