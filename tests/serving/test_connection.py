"""HTTP as clients send it that are unusual, wrong or hostile, on a real server."""

import gzip
import http.client
import json
import re
import socket

import pytest
from support.colour_engine import flag
from support.served import gated, png, serving_gated, wait_until

FLAG = png(flag(40, 60))
POST = b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(FLAG) + FLAG
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A server whose engine can be held, with two seconds for headers."""
    with serving_gated(tmp_path_factory.mktemp("held"), header_seconds=2) as (served, closed):
        yield served, closed


def tell(served, sent: bytes, *, and_end: bool = False) -> bytes:
    """All that the server sends on a connection until it closes it."""
    with socket.create_connection((served.host, served.port), timeout=30) as connection:
        connection.sendall(sent)
        if and_end:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def statuses(told: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", told)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "expected"),
    [(LIVE, [200]), (POST, [200]), (LIVE + POST + LIVE, [200, 200, 200]), (POST[:40], [400]), (b"", [])],
)
def test_a_client_that_ends_its_side_gets_its_answers(held, sent, expected):
    assert statuses(tell(held[0], sent, and_end=True)) == expected


@pytest.mark.slow
def test_a_client_that_ends_its_side_and_waits_long_gets_its_answer_too(held):
    served, closed = held
    closed.touch()
    with socket.create_connection((served.host, served.port), timeout=30) as connection:
        connection.sendall(POST)
        connection.shutdown(socket.SHUT_WR)
        interim = connection.recv(25)
        closed.unlink()
        answer = http.client.HTTPResponse(connection)
        answer.begin()

        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (answer.status, answer.read()[:4]) == (200, b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_one_answer_in_json(held, sent):
    head, _, body = tell(held[0], sent).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"error": "the request is not valid HTTP/1.1"}


@pytest.mark.slow
def test_two_lengths_are_refused_and_the_rest_is_not_another_request(held):
    both = b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    told = tell(held[0], both + LIVE)

    assert statuses(told) == [400]
    assert b'{"error":"the request has both Content-Length and Transfer-Encoding; send one"}' in told


@pytest.mark.slow
@pytest.mark.parametrize("after", [b"\r\n", b"\r\n\r\n"])
def test_an_answered_client_gets_no_timeout_for_empty_lines(held, after):
    assert statuses(tell(held[0], LIVE + after)) == [200]


@pytest.mark.slow
def test_a_client_that_goes_on_with_a_body_after_its_answer_gets_no_second_one(held):
    with socket.create_connection((held[0].host, held[0].port), timeout=30) as connection:
        connection.sendall(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        told, sending = b"", True
        connection.settimeout(0.2)
        while sending:
            try:
                connection.sendall(b"x")
                part = connection.recv(65536)
                told, sending = told + part, bool(part)
            except TimeoutError:
                continue
            except ConnectionError:
                break

    assert statuses(told) == [405]


@pytest.fixture(scope="module")
def client():
    with gated() as (opened, _):
        yield opened


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/metrics", "/v1/models", "/v1/examples/street.jpg", "/v2", "/v2/models/colours", "/nowhere"]
)
def test_head_answers_as_get_without_the_body(client, path):
    whole, head = client.get(path), client.head(path)

    assert (head.status_code, head.headers["content-type"]) == (whole.status_code, whole.headers["content-type"])


@pytest.mark.slow
def test_head_sends_no_body_over_the_wire(held):
    told = tell(held[0], LIVE.replace(b"GET", b"HEAD") + LIVE, and_end=True)

    assert statuses(told) == [200, 200]
    assert told.count(b'{"live":true}') == 1
    wait_until(lambda: "HEAD" in [line["method"] for line in held[0].log()])


@pytest.mark.parametrize("path", ["/v1/segment", "/v2/models/colours/infer"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_compressed_bodies_are_refused(client, path, encoding):
    answer = client.post(path, content=gzip.compress(FLAG), headers={"Content-Encoding": encoding})

    assert answer.status_code == 415
    assert f"Content-Encoding '{encoding}' is not read" in answer.json()["error"]


def test_an_encoding_that_changes_nothing_is_accepted(client):
    assert client.post("/v1/segment", content=FLAG, headers={"Content-Encoding": "identity"}).status_code == 200


@pytest.mark.parametrize("parameters", [{"classification": 3}, {"class_count": 1}, {"shared_memory_region": "a"}])
def test_what_an_output_cannot_give_is_refused(client, parameters):
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 3], "data": [0, 0, 0]}
    asked = {"inputs": [tensor], "outputs": [{"name": "labels", "parameters": parameters}]}

    answer = client.post("/v2/models/colours/infer", json=asked)

    assert answer.status_code == 400
    assert next(iter(parameters)) in answer.json()["error"]
