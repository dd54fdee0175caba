"""What a URL may look like, what its host resolves to, and which addresses are public."""

import asyncio
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from cgrseg.errors import FetchError

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
            raise FetchError("the URL holds a user or a password, which is not sent on; give one without")
        raise FetchError("the URL is not like https://host/picture.jpg, in ASCII, other characters percent-encoded")
    scheme, host, port, rest = found[1].lower(), found[2].lower(), found[3], found[4] or "/"
    if port is not None and int(port) != PORTS[scheme]:
        raise FetchError(f"port {port} is not fetched from; {scheme} is on port {PORTS[scheme]}")
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
