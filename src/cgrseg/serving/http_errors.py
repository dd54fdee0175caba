"""Errors of a request: an HTTP status, the kind it is counted as, and one sentence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cgrseg.errors import CGRSegError

CLIENT_CLOSED = 499
"""The status logged when the client closed the connection before its response; nobody receives it."""


class RequestError(CGRSegError):
    """A request that gets an error response.

    Args:
        problem: what is wrong.
        advice: what to do about it.
        setting: unused here; see `CGRSegError`.
        status: the HTTP status of the response.
        kind: the label under which `/metrics` counts it.
        headers: names and values of extra response headers.
    """

    def __init__(
        self,
        problem: str,
        advice: str = "",
        setting: str = "",
        status: int = 400,
        kind: str = "request",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(problem, advice, setting)
        self.args = (problem, advice, setting, status, kind, headers)

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return self.args[3]

    @property
    def kind(self) -> str:
        """The label under which `/metrics` counts it."""
        return self.args[4]

    @property
    def headers(self) -> dict[str, str]:
        """Extra response headers."""
        return dict(self.args[5])


def retry_after(seconds: int) -> tuple[tuple[str, str], ...]:
    """The header that tells clients when to try again."""
    return (("Retry-After", str(seconds)),)


def queue_full(name: str, limit: int) -> RequestError:
    """The queue of a model is full."""
    return RequestError(
        f"model {name!r} has {limit} images in hand, its limit",
        advice="try again in a second",
        status=503,
        kind="busy",
        headers=retry_after(1),
    )


def deadline_passed() -> RequestError:
    """The deadline of the request passed."""
    return RequestError(
        "the deadline passed before the image was segmented", "the work was dropped", status=504, kind="deadline"
    )


def client_closed() -> RequestError:
    """The client closed its connection."""
    return RequestError("the client closed the connection", status=CLIENT_CLOSED, kind="gone")


def body_too_large(limit: int) -> RequestError:
    """The body is larger than the server accepts."""
    return RequestError(
        f"the body is larger than {limit:,} bytes, the limit of this server", status=413, kind="too_large"
    )


@asynccontextmanager
async def enforce_deadline(deadline: float) -> AsyncIterator[None]:
    """Cancel the block when the deadline, a time of the event loop's clock, passes.

    Raises:
        RequestError: the deadline passed.
    """
    try:
        if deadline <= asyncio.get_running_loop().time():
            raise deadline_passed()
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise deadline_passed() from None
