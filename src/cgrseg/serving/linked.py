"""From a request that names a picture's address, {"url": "https://..."}, to the picture's bytes."""

import json

from fastapi import Request

from cgrseg.errors import FetchError
from cgrseg.serving.house import House
from cgrseg.serving.reading import read_body, unless_gone
from cgrseg.serving.refusals import Refusal, before

MOST_BYTES = 16_384
"""Of the JSON."""


async def read_linked(request: Request, house: House, deadline: float) -> bytes:
    """The picture at the address that the body names.

    Raises:
        Refusal: this server fetches none, the address leads nowhere that it may, or the deadline passed.
    """
    if not house.config.allow_url:
        raise Refusal(403, "url", "this server fetches no pictures; send the picture, or start it with --allow-url")
    url = _url_in(await read_body(request, min(MOST_BYTES, house.config.body_bytes), deadline))
    async with before(deadline), house.fetches:
        try:
            return await unless_gone(request, house.fetcher.fetch(url, house.config.body_bytes))
        except FetchError as error:
            raise Refusal(413 if error.is_too_large else 400, "url", str(error)) from None


def _url_in(body: bytes) -> str:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("url"), str):
        raise Refusal(400, "request", 'the body names no picture; send {"url": "https://..."}')
    return told["url"]
