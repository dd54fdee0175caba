"""What a URL may look like, what its host resolves to, and which addresses are public.

One GET, and those that redirects lead to, each to an address that was looked at.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from cgrseg import __version__
from cgrseg.errors import FetchError, MissingExtra, TooLargeError

if TYPE_CHECKING:
    import h11

PORTS = {"http": 80, "https": 443}
MOST_CHARACTERS = 8192
URL = re.compile(r"(https?)://(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?([/?][!-~]*)?", re.ASCII | re.IGNORECASE)
"""Scheme, host, port, and the rest, which is sent as it is."""

UNICAST_6 = IPv6Network("2000::/3")
"""All that is given out to the public, but for these parts of it."""
SPECIAL_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Of protocols (Teredo and others), of documentation, and 6to4, which leads to IPv4 addresses."""
NAT_64 = IPv6Network("64:ff9b::/96")
SPECIAL_4 = tuple(map(IPv4Network, ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "192.31.196.0/24")))
"""Of providers' own networks, of protocols and of relays: not private, and not anybody's host."""


@dataclass(frozen=True)
class Target:
    """A URL in its parts."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""


@dataclass(frozen=True)
class Endpoint:
    """What is connected to."""

    address: str
    port: int


def parse_url(url: str) -> Target:
    """The parts of a URL.

    Raises:
        FetchError: it is none of http or https, on another port than theirs, or holds a user's name.
    """
    plain = url.partition("#")[0]
    found = URL.fullmatch(plain) if len(plain) <= MOST_CHARACTERS else None
    if found is None:
        if "@" in re.split(r"[/?]", plain.partition("://")[2], maxsplit=1)[0]:
            raise FetchError(
                "the URL holds a user or a password, which is not sent on",
                advice="give one without",
            )
        raise FetchError("the URL is not like https://host/image.jpg, in ASCII, other characters percent-encoded")
    scheme, host, port, rest = found[1].lower(), found[2].lower(), found[3], found[4] or "/"
    if port is not None and int(port) != PORTS[scheme]:
        raise FetchError(
            f"port {port} is not fetched from",
            advice=f"{scheme} is on port {PORTS[scheme]}",
        )
    return Target(scheme, host.strip("[]"), PORTS[scheme], rest if rest.startswith("/") else f"/{rest}")


async def resolve(host: str, port: int) -> list[Endpoint]:
    """What the system's resolver says that a host is."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Endpoint(str(entry[4][0]), port) for entry in found))


def is_public(address: str) -> bool:
    """Whether anybody on the Internet may be reached by that address, and nobody else."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _is_public_4(ip) if isinstance(ip, IPv4Address) else _is_public_6(ip)


def _is_public_4(ip: IPv4Address) -> bool:
    is_special = any(ip in network for network in SPECIAL_4)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or is_special)


def _is_public_6(ip: IPv6Address) -> bool:
    """An address that stands for one of IPv4 is as public as that one."""
    if ip.ipv4_mapped is not None:
        return _is_public_4(ip.ipv4_mapped)
    if ip in NAT_64:
        return _is_public_4(IPv4Address(ip.packed[-4:]))
    return ip in UNICAST_6 and not any(ip in network for network in SPECIAL_6)


MOST_REDIRECTS = 3
REDIRECTS = (301, 302, 303, 307, 308)
MOST_ENDPOINTS, CONNECT_SECONDS = 4, 5.0
"""Addresses of a host that are tried, and how long each."""
CHUNK_BYTES = 1 << 16


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True)
class Fetcher:
    """Fetches images; its parts can be replaced from Python only."""

    resolve: Callable[[str, int], Awaitable[list[Endpoint]]] = resolve
    is_allowed: Callable[[str], bool] = is_public
    """Whether an address may be connected to."""
    tls: Callable[[], ssl.SSLContext] = _trusted

    async def fetch(self, url: str, most_bytes: int) -> bytes:
        """What is at a URL. It takes as long as it takes; cancelling it closes the connection.

        Raises:
            FetchError: it is not like a URL, leads to no public address, or no answer of that size came.
            MissingExtra: the package that speaks HTTP is not installed.
        """
        target = parse_url(url)
        for _ in range(1 + MOST_REDIRECTS):
            async with self._connected(target) as (reader, writer):
                answer = await _get(target, reader, writer, most_bytes)
            if isinstance(answer, bytes):
                return answer
            target = answer
        raise FetchError(f"more than {MOST_REDIRECTS} redirects, the last to {target.host}")

    @asynccontextmanager
    async def _connected(self, target: Target) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to one of the addresses that were looked at; whatever breaks in the block is one sentence."""
        reader, writer = await self._connect(target, await self._endpoints(target))
        try:
            yield reader, writer
        except OSError:
            raise FetchError(f"{target.host} broke the connection off") from None
        finally:
            writer.transport.abort()

    async def _connect(
        self, target: Target, endpoints: list[Endpoint]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first that answers; TLS asks for the host by its name and checks its certificate."""
        secure = {"ssl": self.tls(), "server_hostname": target.host} if target.scheme == "https" else {}
        for endpoint in endpoints:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(endpoint.address, endpoint.port, **secure)
            except OSError:
                continue
        raise FetchError(f"{target.host} cannot be reached by {target.scheme}")

    async def _endpoints(self, target: Target) -> list[Endpoint]:
        """The addresses of a host, if all of them are allowed; one sentence hides which names exist inside."""
        try:
            found = await self.resolve(target.host, target.port)
        except (OSError, UnicodeError):
            found = []
        if not found or not all(self.is_allowed(endpoint.address) for endpoint in found):
            raise FetchError(
                f"{target.host} has no public address, or others beside it",
                advice="nothing else is fetched from",
            )
        return found[:MOST_ENDPOINTS]


async def _get(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most_bytes: int
) -> bytes | Target:
    """The body of the answer, or where a redirect leads."""
    try:
        import h11
    except ImportError:
        raise MissingExtra(
            "h11 is not installed",
            advice="run: pip install 'cgrseg[serve]'",
        ) from None
    host = f"[{target.host}]" if ":" in target.host else target.host
    told = {
        "Host": host,
        "User-Agent": f"cgrseg/{__version__}",
        "Accept": "image/*, */*;q=0.1",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    speaks = h11.Connection(h11.CLIENT)
    writer.write(speaks.send(h11.Request(method="GET", target=target.path, headers=list(told.items()))) or b"")
    writer.write(speaks.send(h11.EndOfMessage()) or b"")
    try:
        events = _events(speaks, reader)
        async for event in events:
            if isinstance(event, h11.Response):
                redirect = _look_at(event, target, most_bytes)
                return redirect or await _body(events, target, most_bytes)
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass
    raise FetchError(f"{target.host} gave no answer that can be read, or cut it short")


async def _events(speaks: "h11.Connection", reader: asyncio.StreamReader) -> AsyncGenerator["h11.Event", None]:
    """The parts of an answer as they come."""
    import h11

    while True:
        event = speaks.next_event()
        if event is h11.NEED_DATA:
            speaks.receive_data(await reader.read(CHUNK_BYTES))
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
            return
        else:
            assert not isinstance(event, type)
            yield event


def _look_at(answer: "h11.Response", target: Target, most_bytes: int) -> Target | None:
    """Where a redirect leads; none if the body is what was asked for."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    if answer.status_code in REDIRECTS and "location" in headers:
        shown = f"[{target.host}]" if ":" in target.host else target.host
        try:
            return parse_url(urljoin(f"{target.scheme}://{shown}{target.path}", headers["location"]))
        except ValueError:
            raise FetchError(f"{target.host} redirects to what is no URL") from None
    if answer.status_code != 200:
        raise FetchError(f"{target.host} answered {answer.status_code} instead of an image")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"{target.host} sent the image compressed once more, which was not asked for")
    if headers.get("content-length", "").isdigit() and int(headers["content-length"]) > most_bytes:
        raise _too_large(target, most_bytes)
    return None


async def _body(events: AsyncGenerator["h11.Event", None], target: Target, most_bytes: int) -> bytes:
    import h11

    body = bytearray()
    async for event in events:
        if isinstance(event, h11.Data):
            body += event.data
        if len(body) > most_bytes:
            raise _too_large(target, most_bytes)
    return bytes(body)


def _too_large(target: Target, most_bytes: int) -> TooLargeError:
    return TooLargeError(f"what {target.host} sends is larger than {most_bytes:,} bytes, the limit here")
