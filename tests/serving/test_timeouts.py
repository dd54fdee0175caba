"""Timeouts for clients that send or read slowly, and the security headers of responses."""

import re
import socket

import pytest
from support.colour_engine import flag
from support.served import gated, png, serving_gated, wait_until

FLAG = png(flag(40, 60))
NONE = "default-src 'none'"


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A server that waits for a second."""
    folder = tmp_path_factory.mktemp("impatient")
    with serving_gated(folder, deadline_s=1, header_seconds=1, write_seconds=1) as (served, _):
        yield served


def trickle(served, beginning: bytes, rest: bytes = b"") -> bytes:
    """The response to a client that sends one byte at a time."""
    told = b""
    with socket.create_connection((served.host, served.port), timeout=30) as connection:
        connection.sendall(beginning)
        connection.settimeout(0.05)
        for byte in rest[:600]:
            part = heard(connection)
            if part == b"":
                return told
            told += part or b""
            if part is None and not sent(connection, byte):
                return told
    raise AssertionError("the server never ended it")


def heard(connection: socket.socket) -> bytes | None:
    """What has come; nothing if the other side has ended, None if it is silent."""
    try:
        return connection.recv(65536)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


def sent(connection: socket.socket, byte: int) -> bool:
    """Whether one more byte could be sent."""
    try:
        connection.sendall(bytes([byte]))
    except ConnectionError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("beginning", [b"", b"GET / HT", b"POST /v1/segment HTTP/1.1\r\nHost: a\r\n"])
def test_headers_that_trickle_are_ended(impatient, beginning):
    told = trickle(impatient, beginning, b"X-A: b\r\n" * 1000)

    assert told.startswith(b"HTTP/1.1 408 ")
    assert told.endswith(b'{"error": "the headers did not come in time"}')


@pytest.mark.slow
def test_headers_of_a_second_request_on_a_connection_are_ended_too(impatient):
    first = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"

    told = trickle(impatient, first, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 1000)

    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in told


@pytest.mark.slow
def test_a_body_that_trickles_is_ended_by_the_deadline(impatient):
    told = trickle(impatient, b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"x" * 100_000)

    assert told.startswith(b"HTTP/1.1 504 ")


@pytest.mark.slow
def test_an_answer_that_nobody_takes_is_dropped(impatient):
    with socket.create_connection((impatient.host, impatient.port), timeout=30) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /v1/examples/street.jpg HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
        wait_until(lambda: is_reset(connection))


def is_reset(connection: socket.socket) -> bool:
    """Whether the other side has dropped the connection."""
    try:
        connection.sendall(b"\r\n")
    except ConnectionError:
        return True
    return False


@pytest.fixture(scope="module")
def client():
    with gated() as (opened, _):
        yield opened


@pytest.mark.parametrize("path", ["/", "/main.js", "/docs", "/openapi.json", "/v1/models", "/metrics", "/nowhere"])
def test_each_answer_tells_browsers_to_guess_nothing_and_to_load_nothing_from_elsewhere(client, path):
    headers = client.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"].startswith(NONE)
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_labels_are_not_kept_and_the_page_is_asked_for_again(client):
    assert client.post("/v1/segment", content=FLAG).headers["cache-control"] == "no-store"
    assert client.get("/").headers["cache-control"] == "no-cache"
    assert client.get("/", headers={"If-None-Match": client.get("/").headers["etag"]}).status_code == 304


def test_another_page_may_not_ask_for_its_visitor(client):
    asked = {"Origin": "https://another.example", "Access-Control-Request-Method": "POST"}

    assert client.options("/v1/segment", headers=asked).status_code == 405


def test_the_page_of_addresses_names_each_and_needs_nothing_else(client):
    page = client.get("/docs").text

    assert all(path in page for path in client.get("/openapi.json").json()["paths"])
    assert not re.findall(r"<script|(?:src|href)=\"(?!openapi\.json)|https?://(?!example\.org)", page)


@pytest.mark.slow
def test_the_page_of_addresses_has_its_style_in_a_browser(impatient, visit):
    page = visit(f"http://{impatient.host}:{impatient.port}/docs")

    assert page.evaluate("getComputedStyle(document.body).maxWidth") == "960px"
    page.get_by_text("/v1/segment").click()
    assert page.get_by_text("multipart/form-data").is_visible()
