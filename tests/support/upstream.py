"""A host on this machine that images are fetched from, in tests: one answer, said to whoever connects."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server, socket

from cgrseg.serving.fetch import Endpoint, Fetcher, is_public

HOST = "pictures.example"
PUBLIC = "93.184.215.14"
"""Stands in tests for this machine's address: allowed, and connected to here."""


class Upstream:
    """What it was asked, and where it is."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[bytes] = []
        self.done = threading.Event()

    def fetcher(self, *answers: list[str], **parts) -> Fetcher:
        """A fetcher for which the hosts of one question after another have these addresses; the last for all more."""
        told = list(answers or [[PUBLIC]])

        async def resolve(host: str, port: int) -> list[Endpoint]:
            addresses = told.pop(0) if len(told) > 1 else told[0]
            return [Here(address, self.port) for address in addresses]

        return Fetcher(resolve=resolve, is_allowed=lambda address: is_public(address.real), **parts)


class Loopback(str):
    """The address of this machine, that was called something else."""

    real: str


def Here(address: str, port: int) -> Endpoint:  # noqa: N802
    """An endpoint that is judged by its address, and is on this machine."""
    here = Loopback("127.0.0.1")
    here.real = address
    return Endpoint(here, port)


def answer(body: bytes = b"", status: str = "200 OK", **headers: object) -> bytes:
    """An answer of HTTP."""
    told = {"Content-Length": len(body)} | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@contextmanager
def upstream(*answers: bytes, is_held: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[Upstream]:
    """A host that gives these answers to one connection after another, the last to all more.

    Args:
        answers: each as it is sent.
        is_held: connections stay open after it.
        tls: makes it a host of https.
    """
    with create_server(("127.0.0.1", 0)) as listening:
        host, told = Upstream(listening.getsockname()[1]), list(answers)

        def speak() -> None:
            while not host.done.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=tell, args=(connection, told.pop(0) if len(told) > 1 else told[0])).start()

        def tell(connection: socket, text: bytes) -> None:
            with connection:
                try:
                    plain = tls.wrap_socket(connection, server_side=True) if tls else connection
                    host.asked.append(plain.recv(1 << 16))
                    plain.sendall(text)
                except OSError:
                    return
                if is_held:
                    host.done.wait(30)
                if tls:
                    plain.close()

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        try:
            yield host
        finally:
            host.done.set()
            with socket() as last:
                last.connect(("127.0.0.1", host.port))
            thread.join()
