"""Fetches images by URL, from public addresses only: a guard against server-side request forgery.

URL -- parse --> host -- resolve --> addresses, all public? -- connect to one of them, GET --> bytes, limited
^                                                                    |
+------------------------- redirect, at most 3 ----------------------+
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
MAX_URL_LENGTH = 8192
URL = re.compile(r"(https?)://(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?([/?][!-~]*)?", re.ASCII | re.IGNORECASE)
"""Scheme, host, port, and path with query, which is sent unchanged."""

UNICAST_6 = IPv6Network("2000::/3")
"""The allocated global unicast range; the ranges below are exceptions within it."""
SPECIAL_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""IETF protocols (Teredo and others), documentation, and 6to4, which leads to IPv4 addresses."""
NAT_64 = IPv6Network("64:ff9b::/96")
SPECIAL_4 = tuple(map(IPv4Network, ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "192.31.196.0/24")))
"""Shared address space of providers, IETF protocols and relays: not private, but no public hosts either."""


@dataclass(frozen=True)
class Target:
    """The parts of a URL."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query."""


@dataclass(frozen=True)
class Endpoint:
    """A resolved address and port."""

    address: str
    port: int


def parse_url(url: str) -> Target:
    """Parse and check a URL.

    Raises:
        FetchError: it is not http or https, has another port than 80 or 443, or contains a user or a password.
    """
    plain = url.partition("#")[0]
    match = URL.fullmatch(plain) if len(plain) <= MAX_URL_LENGTH else None
    if match is None:
        if "@" in re.split(r"[/?]", plain.partition("://")[2], maxsplit=1)[0]:
            raise FetchError(
                "the URL contains a user or a password, which would not be sent",
                advice="give one without",
            )
        raise FetchError("the URL must look like https://host/image.jpg, in ASCII, other characters percent-encoded")
    scheme, host, port, rest = match[1].lower(), match[2].lower(), match[3], match[4] or "/"
    if port is not None and int(port) != PORTS[scheme]:
        raise FetchError(
            f"port {port} is not allowed",
            advice=f"{scheme} is on port {PORTS[scheme]}",
        )
    return Target(scheme, host.strip("[]"), PORTS[scheme], rest if rest.startswith("/") else f"/{rest}")


async def resolve(host: str, port: int) -> list[Endpoint]:
    """Resolve a host with the resolver of the system."""
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Endpoint(str(entry[4][0]), port) for entry in entries))


def is_public(address: str) -> bool:
    """Whether an address belongs to a public host on the Internet."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _is_public_4(ip) if isinstance(ip, IPv4Address) else _is_public_6(ip)


def _is_public_4(ip: IPv4Address) -> bool:
    is_special = any(ip in network for network in SPECIAL_4)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or is_special)


def _is_public_6(ip: IPv6Address) -> bool:
    """Addresses that embed an IPv4 address are judged by that one."""
    if ip.ipv4_mapped is not None:
        return _is_public_4(ip.ipv4_mapped)
    if ip in NAT_64:
        return _is_public_4(IPv4Address(ip.packed[-4:]))
    return ip in UNICAST_6 and not any(ip in network for network in SPECIAL_6)


MAX_REDIRECTS = 3
REDIRECTS = (301, 302, 303, 307, 308)
MAX_ENDPOINTS, CONNECT_SECONDS = 4, 5.0
"""Addresses of a host that are tried, and the timeout of each."""
CHUNK_BYTES = 1 << 16


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True)
class Fetcher:
    """Fetches images; only Python code can replace its parts."""

    resolve: Callable[[str, int], Awaitable[list[Endpoint]]] = resolve
    is_allowed: Callable[[str], bool] = is_public
    """Whether an address may be connected to."""
    tls: Callable[[], ssl.SSLContext] = _trusted

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """Fetch the body at a URL. It has no timeout of its own; cancelling it closes the connection.

        Raises:
            FetchError: the URL is invalid, its address is not public, or no successful response came.
            TooLargeError: the body is larger than `max_bytes`.
            MissingExtra: h11 is not installed.
        """
        target = parse_url(url)
        for _ in range(1 + MAX_REDIRECTS):
            async with self._connected(target) as (reader, writer):
                result = await _get(target, reader, writer, max_bytes)
            if isinstance(result, bytes):
                return result
            target = result
        raise FetchError(f"more than {MAX_REDIRECTS} redirects, the last to {target.host}")

    @asynccontextmanager
    async def _connected(self, target: Target) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect to one of the checked addresses; connection errors in the block become a FetchError."""
        reader, writer = await self._connect(target, await self._endpoints(target))
        try:
            yield reader, writer
        except OSError:
            raise FetchError(f"{target.host} closed the connection") from None
        finally:
            writer.transport.abort()

    async def _connect(
        self, target: Target, endpoints: list[Endpoint]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address that accepts; TLS checks the certificate against the host name."""
        secure = {"ssl": self.tls(), "server_hostname": target.host} if target.scheme == "https" else {}
        for endpoint in endpoints:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(endpoint.address, endpoint.port, **secure)
            except OSError:
                continue
        raise FetchError(f"{target.host} cannot be reached by {target.scheme}")

    async def _endpoints(self, target: Target) -> list[Endpoint]:
        """The addresses of a host if all are allowed; one error for all other cases, to not reveal internal names."""
        try:
            endpoints = await self.resolve(target.host, target.port)
        except (OSError, UnicodeError):
            endpoints = []
        if not endpoints or not all(self.is_allowed(endpoint.address) for endpoint in endpoints):
            raise FetchError(
                f"{target.host} has no public address, or also has others",
                advice="images are fetched from public addresses only",
            )
        return endpoints[:MAX_ENDPOINTS]


async def _get(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int
) -> bytes | Target:
    """The body of the response, or the target of a redirect."""
    try:
        import h11
    except ImportError:
        raise MissingExtra(
            "h11 is not installed",
            advice="run: pip install 'cgrseg[serve]'",
        ) from None
    host = f"[{target.host}]" if ":" in target.host else target.host
    headers = {
        "Host": host,
        "User-Agent": f"cgrseg/{__version__}",
        "Accept": "image/*, */*;q=0.1",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    connection = h11.Connection(h11.CLIENT)
    writer.write(connection.send(h11.Request(method="GET", target=target.path, headers=list(headers.items()))) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    try:
        events = _events(connection, reader)
        async for event in events:
            if isinstance(event, h11.Response):
                redirect = _check_response(event, target, max_bytes)
                return redirect or await _body(events, target, max_bytes)
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass
    raise FetchError(f"{target.host} sent an invalid or incomplete response")


async def _events(connection: "h11.Connection", reader: asyncio.StreamReader) -> AsyncGenerator["h11.Event", None]:
    """The events of a response as they arrive."""
    import h11

    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(CHUNK_BYTES))
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
            return
        else:
            assert not isinstance(event, type)
            yield event


def _check_response(response: "h11.Response", target: Target, max_bytes: int) -> Target | None:
    """The target of a redirect; None for a successful response.

    Raises:
        FetchError: the status, encoding or length is not acceptable.
    """
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    if response.status_code in REDIRECTS and "location" in headers:
        host = f"[{target.host}]" if ":" in target.host else target.host
        try:
            return parse_url(urljoin(f"{target.scheme}://{host}{target.path}", headers["location"]))
        except ValueError:
            raise FetchError(f"{target.host} redirects to an invalid URL") from None
    if response.status_code != 200:
        raise FetchError(f"{target.host} answered {response.status_code} instead of an image")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"{target.host} sent a compressed response that was not asked for")
    if headers.get("content-length", "").isdigit() and int(headers["content-length"]) > max_bytes:
        raise _too_large(target, max_bytes)
    return None


async def _body(events: AsyncGenerator["h11.Event", None], target: Target, max_bytes: int) -> bytes:
    import h11

    body = bytearray()
    async for event in events:
        if isinstance(event, h11.Data):
            body += event.data
        if len(body) > max_bytes:
            raise _too_large(target, max_bytes)
    return bytes(body)


def _too_large(target: Target, max_bytes: int) -> TooLargeError:
    return TooLargeError(f"the response of {target.host} is larger than {max_bytes:,} bytes, the limit of this server")
