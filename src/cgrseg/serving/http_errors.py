"""Answers that are no result: a status, a kind to count it by, and one sentence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cgrseg.errors import CGRSegError

GONE = 499
"""The status that is logged where the client went away; nobody receives it."""


@dataclass
class Refusal(CGRSegError):
    """A request that is not served, and why."""

    status: int
    kind: str
    """What `/metrics` counts it as."""
    sentence: str
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.sentence


def busy(name: str, limit: int) -> Refusal:
    """The line of a model is full."""
    return Refusal(
        503,
        "busy",
        f"model {name!r} has {limit} images in hand, its limit; try again in a second",
        {"Retry-After": "1"},
    )


def late() -> Refusal:
    """The deadline has passed."""
    return Refusal(504, "deadline", "the deadline passed before the image was segmented; the work was dropped")


def gone() -> Refusal:
    """The client closed its connection."""
    return Refusal(GONE, "gone", "the client went away")


def too_long(limit: int) -> Refusal:
    """The body is larger than the server reads."""
    return Refusal(413, "too_large", f"the body is larger than {limit:,} bytes, the limit of this server")


@asynccontextmanager
async def before(deadline: float) -> AsyncIterator[None]:
    """A block that is given up at a time by the clock of the event loop; what it waits for is cancelled."""
    try:
        if deadline <= asyncio.get_running_loop().time():
            raise late()
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise late() from None
