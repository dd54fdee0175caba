"""Images by URL: disabled, enabled, and every way in which fetching fails."""

import json
import re

import pytest
from support.colour_engine import flag
from support.served import gated, png
from support.upstream import HOST, answer, upstream

FLAG = png(flag(40, 60))
URL = f"http://{HOST}/flag.png"


@pytest.fixture(scope="module")
def client():
    with gated(allow_url=True, body_bytes=10_000, pixels=10_000) as (opened, _):
        yield opened


@pytest.fixture
def reach(client, monkeypatch):
    """Let the server fetch from a host of the test."""
    return lambda host: monkeypatch.setattr(client.app.state.server, "fetcher", host.fetcher())


def ask(client, url: object = URL, **headers: str):
    return client.post("/v1/segment", json={"url": url}, headers=headers)


def errors(client) -> dict[str, float]:
    """How many of each kind were counted."""
    return dict(re.findall(r'^cgrseg_errors_total{kind="(\w+)"} (\S+)', client.get("/metrics").text, re.MULTILINE))


def test_a_server_that_fetches_nothing_says_how_it_would():
    with gated() as (client, _):
        refused = ask(client)

    assert refused.status_code == 403
    assert "--allow-url" in refused.json()["error"]


def test_an_image_by_url_has_the_label_map_of_the_same_image_sent(client, reach):
    with upstream(answer(FLAG)) as host:
        reach(host)
        by_url = ask(client)

    assert by_url.status_code == 200
    assert by_url.content == client.post("/v1/segment", content=FLAG).content


@pytest.mark.parametrize(
    ("told", "status", "words", "kind"),
    [
        (answer(status="404 Not Found"), 400, "answered 404", "url"),
        (answer(bytes(10_001)), 413, "10,000 bytes", "url"),
        (answer(b"hello"), 400, "text", "picture"),
        (answer(png(flag(101, 100))), 400, "10,000 pixels", "picture"),
    ],
    ids=["404", "large", "text", "bomb"],
)
def test_what_does_not_come_or_is_no_image_is_a_sentence_and_is_counted(client, reach, told, status, words, kind):
    before = float(errors(client).get(kind, 0))
    with upstream(told) as host:
        reach(host)
        refused = ask(client)

    assert refused.status_code == status
    assert words in refused.json()["error"]
    assert float(errors(client)[kind]) == before + 1


def test_a_host_that_never_ends_meets_the_deadline_and_holds_nothing_after_it(client, reach):
    slow = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow"
    with upstream(slow, answer(FLAG), is_held=True) as host:
        reach(host)
        assert ask(client, **{"X-Deadline-Ms": "300"}).status_code == 504
        assert ask(client).status_code == 200


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://2130706433/", "http://[::1]/", "http://169.254.169.254/latest/", "ftp://a/b"]
)
def test_the_server_as_it_is_started_reaches_nothing_inside(client, url):
    refused = ask(client, url)

    assert refused.status_code == 400
    assert refused.json()["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"url": 1}', b'{"address": "http://a/"}', b"[" * 10_000])
def test_json_that_names_no_image_is_told_how_it_would(client, body):
    refused = client.post("/v1/segment", content=body, headers={"content-type": "application/json"})

    assert refused.status_code == 400
    assert json.dumps({"url": "https://..."}) in refused.json()["error"]
