"""The middleware: request id, token, access log and metrics."""

import base64
import json
import logging
import re

import pytest
from support.colour_engine import flag
from support.served import gated, png

FLAG = png(flag(40, 60))
TOKEN = "a-token"


@pytest.fixture
def client():
    with gated(body_bytes=10_000) as (opened, _):
        yield opened


@pytest.fixture
def locked():
    with gated(token=TOKEN) as (opened, _):
        yield opened


def metric(client, name: str, **labels: str) -> float:
    """The value of a metric in `/metrics`; 0 if it has none yet."""
    for line in client.get("/metrics").text.splitlines():
        found = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1])) == labels:
            return float(found[2])
    return 0.0


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode()


def test_a_request_keeps_its_id_and_gets_one_if_it_has_none(client):
    given = client.get("/v1/models", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"]
    made = {client.get("/v1/models").headers["x-request-id"] for _ in range(2)}
    unfit = client.get("/v1/models", headers={"X-Request-Id": 'a"b'}).headers["x-request-id"]

    assert given == "mine-1"
    assert len(made) == 2
    assert unfit != 'a"b'


@pytest.mark.parametrize("path", ["/v1/models", "/v2", "/metrics", "/docs", "/openapi.json", "/nowhere", "/"])
def test_without_the_token_nothing_but_health_is_told(locked, path):
    answer = locked.get(path)

    assert answer.status_code == 401
    assert "error" in answer.json()
    assert locked.get("/v2/health/live").status_code == 200
    assert locked.get("/v2/health/ready").status_code == 200


def test_an_image_without_the_token_is_not_looked_at(locked):
    assert locked.post("/v1/segment", content=FLAG).status_code == 401
    assert metric_of_errors(locked) == {"token": 1.0}


def metric_of_errors(locked) -> dict[str, float]:
    text = locked.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    lines = re.findall(r'^cgrseg_errors_total\{kind="(\w+)"\} (\S+)', text, re.MULTILINE)
    return {kind: float(value) for kind, value in lines}


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (basic(TOKEN), 200),
        ("Bearer another", 401),
        (f"Bearer {TOKEN}x", 401),
        (basic("another"), 401),
        ("Basic ???", 401),
        (TOKEN, 401),
        ("Bearer", 401),
    ],
)
def test_the_token_opens_by_either_way(locked, shown, status):
    assert locked.get("/v1/models", headers={"Authorization": shown}).status_code == status


def test_each_request_is_a_line_of_json_in_the_access_log(client, caplog):
    with caplog.at_level(logging.INFO, "cgrseg.access"):
        client.post("/v1/segment", content=b"no image", headers={"X-Request-Id": "mine-2"})

    line = json.loads(caplog.messages[-1])
    assert {key: line[key] for key in ("id", "method", "path", "status", "error")} == {
        "id": "mine-2",
        "method": "POST",
        "path": "/v1/segment",
        "status": 400,
        "error": "picture",
    }
    assert line["seconds"] >= 0


def test_a_path_cannot_forge_a_line_of_the_access_log(client, caplog):
    with caplog.at_level(logging.INFO, "cgrseg.access"):
        client.get("/a%0A{%22status%22:200}")

    assert "\n" not in caplog.messages[-1]


def test_the_counters_reconcile_with_what_was_sent(client):
    sent = [(FLAG, 200)] * 5 + [(b"no image", 400)] * 3 + [(bytes(10_001), 413)] * 2

    statuses = [client.post("/v1/segment", content=data).status_code for data, _ in sent]

    assert statuses == [status for _, status in sent]
    for status, count in ((200, 5), (400, 3), (413, 2)):
        assert metric(client, "cgrseg_requests_total", route="/v1/segment", status=str(status)) == count
    assert metric(client, "cgrseg_errors_total", kind="picture") == 3
    assert metric(client, "cgrseg_errors_total", kind="too_large") == 2
    assert metric(client, "cgrseg_queue_depth", model="colours") == 0
    for stage in ("decode", "queue", "compute", "encode"):
        labels = {"stage": stage, "model": "colours", "engine": "colour"}
        assert metric(client, "cgrseg_stage_seconds_count", **labels) == 5


def test_addresses_that_lead_nowhere_share_a_counter(client):
    for path in ("/a", "/b"):
        client.get(path)

    assert metric(client, "cgrseg_requests_total", route="other", status="404") == 2


def test_what_goes_wrong_inside_is_one_sentence_outside(client, caplog):
    client.app.state.server.queues["colours"].segment = None

    answer = client.post("/v1/segment", content=FLAG)

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.json()["error"]
    assert "NoneType" not in answer.text
    assert "Traceback" in caplog.text
