"""From a request to an image: the body is counted while it comes, the format is told by its bytes.

body, limited --+-- raw ---------------+-- decode: known formats only, its size by its header first
                +-- multipart, `image` -+

From a request that names an image's address, {"url": "https://..."}, to the image's bytes.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from functools import partial
from typing import TypeVar

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from cgrseg.data.images import decode_image
from cgrseg.errors import FetchError, TooLargeError
from cgrseg.serving.http_errors import Refusal, before, gone, too_long
from cgrseg.serving.settings import ServeConfig
from cgrseg.serving.state import House
from cgrseg.types import Image

T = TypeVar("T")

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Formats of images from strangers, MPO with JPEG: none that starts another program or is told by its name only."""
RAW = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""Types of a body that may be an image though they do not say so; the last is what `curl --data-binary` sends."""
FIELD = "image"
DEADLINE_HEADER = "x-deadline-ms"


def deadline_of(request: Request, config: ServeConfig) -> float:
    """When the work for a request ends, by the clock of the event loop; a header may bring it forward.

    Raises:
        Refusal: the header is no number.
    """
    seconds = config.deadline_s
    given = request.headers.get(DEADLINE_HEADER)
    if given is not None:
        if not (given.isascii() and given.isdigit() and len(given) <= 9):
            raise Refusal(400, "request", f"X-Deadline-Ms: {given[:50]!r} is no whole number of milliseconds")
        seconds = min(seconds, int(given) / 1000)
    return asyncio.get_running_loop().time() + seconds


def type_of(request: Request) -> str:
    """What a request says that its body is."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int, deadline: float) -> bytes:
    """The whole body, of so many bytes at most.

    Raises:
        Refusal: it is too long or comes too slowly, or the client went away.
    """
    async with before(deadline):
        return b"".join([chunk async for chunk in _limited(request, limit)])


async def read_image(request: Request, config: ServeConfig, deadline: float) -> bytes:
    """The file of an image: the body, or the field `image` of a form.

    Raises:
        Refusal: the body is no image by its type, has no such field, or cannot be read.
    """
    kind = type_of(request)
    if kind == "multipart/form-data":
        async with before(deadline):
            return await _field(request, config.body_bytes)
    if kind in RAW or kind.startswith("image/"):
        return await read_body(request, config.body_bytes, deadline)
    raise Refusal(415, "type", f"a body of type {kind[:100]!r} is no image; send image/* or a form with {FIELD!r}")


def decoder(data: bytes, config: ServeConfig) -> "partial[Image]":
    """What decodes a file when called."""
    return partial(decode_image, data, "the image", formats=FORMATS, most_pixels=config.pixels)


async def _field(request: Request, limit: int) -> bytes:
    """The field `image` of a form."""
    try:
        form = await MultiPartParser(request.headers, _limited(request, limit), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError) as error:
        told = error.message if isinstance(error, MultiPartException) else "it names no boundary"
        raise Refusal(400, "request", f"the form cannot be read: {told.rstrip('.')}") from None
    try:
        given = form.get(FIELD)
        if isinstance(given, UploadFile):
            return await given.read()
    finally:
        await form.close()
    raise Refusal(400, "request", f"the form has no file in a field named {FIELD!r}")


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, until it is too long."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_long(limit)
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > limit:
                raise too_long(limit)
            yield chunk
    except ClientDisconnect:
        raise gone() from None


async def unless_gone(request: Request, work: Coroutine[None, None, T]) -> T:
    """What `work` gives; it is cancelled when the client, whose body is read, goes away.

    Raises:
        Refusal: it went away.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_leaving(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise gone()
    finally:
        working.cancel()
        leaving.cancel()


async def _leaving(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


MOST_BYTES = 16_384
"""Of the JSON."""


async def read_linked(request: Request, house: House, deadline: float) -> bytes:
    """The image at the address that the body names.

    Raises:
        Refusal: this server fetches none, the address leads nowhere that it may, or the deadline passed.
    """
    if not house.config.allow_url:
        raise Refusal(403, "url", "this server fetches no images; send the image, or start it with --allow-url")
    url = _url_in(await read_body(request, min(MOST_BYTES, house.config.body_bytes), deadline))
    async with before(deadline), house.fetches:
        try:
            return await unless_gone(request, house.fetcher.fetch(url, house.config.body_bytes))
        except FetchError as error:
            raise Refusal(413 if isinstance(error, TooLargeError) else 400, "url", str(error)) from None


def _url_in(body: bytes) -> str:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("url"), str):
        raise Refusal(400, "request", 'the body names no image; send {"url": "https://..."}')
    return told["url"]
