"""Segmentation over HTTP: every format, and every way in which an image cannot be read."""

import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image
from support.colour_engine import CLASSES, flag
from support.served import gated, png

from cgrseg.data.datasets.coco import decode_mask

FLAG = flag(40, 60)


@pytest.fixture(scope="module")
def client():
    with gated(body_bytes=100_000, pixels=10_000) as (opened, _):
        yield opened


def ask(client, query="", data=None, **headers):
    return client.post(f"/v1/segment{query}", content=png(FLAG) if data is None else data, headers=headers)


def test_an_image_gets_a_palette_map_of_its_size_unless_something_else_is_asked_for(client):
    answer = ask(client)

    labels = Image.open(io.BytesIO(answer.content))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert (answer.headers["x-model"], answer.headers["x-height"], answer.headers["x-width"]) == ("colours", "40", "60")
    assert labels.mode == "P"
    assert np.array_equal(np.array(labels)[:, [0, -1]], np.tile(np.uint8([0, 2]), (40, 1)))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/jpeg", "image/jpeg"),
        ("application/json", "application/json"),
        ("application/x-npz", "application/x-npz"),
        ("text/html, image/*;q=0.8", "image/png"),
        ("image/png;q=0.1, image/jpeg;q=0.9", "image/jpeg"),
    ],
)
def test_the_format_is_the_one_that_is_accepted(client, accept, kind):
    assert ask(client, accept=accept).headers["content-type"] == kind


def test_a_request_that_accepts_nothing_of_ours_is_told_what_there_is(client):
    answer = ask(client, accept="text/html")

    assert answer.status_code == 406
    assert "image/png" in answer.json()["error"]


def test_json_tells_areas_that_add_up(client):
    document = ask(client, "?format=json").json()

    assert (document["model"], document["height"], document["width"]) == ("colours", 40, 60)
    assert 0 < document["confidence"] <= 1
    assert sum(row["pixels"] for row in document["areas"]) == 40 * 60
    assert {row["name"] for row in document["areas"]} <= set(CLASSES.names)


def test_run_lengths_give_the_label_map_back(client):
    labels = np.array(Image.open(io.BytesIO(ask(client).content)))

    document = ask(client, "?format=json&masks=rle").json()

    painted = np.full_like(labels, 255)
    for row in document["areas"]:
        painted[decode_mask(row["mask"], (40, 60))] = row["label"]
    assert np.array_equal(painted, labels)


def test_polygons_bound_their_class(client):
    document = ask(client, "?format=json&masks=polygons").json()

    red = next(row for row in document["areas"] if row["name"] == "red")
    points = np.array(red["polygons"][0]).reshape(-1, 2)
    assert points[:, 0].min() == 0
    assert 25 < points[:, 0].max() < 35
    assert (points[:, 1].min(), points[:, 1].max()) == (0, 39)


def test_maps_hold_labels_and_then_confidence(client):
    answer = ask(client, "?format=maps")
    arrays = np.load(io.BytesIO(ask(client, "?format=npz").content))

    labels, confidence = np.frombuffer(zlib.decompress(answer.content), np.uint8).reshape(2, 40, 60)
    assert np.array_equal(labels, arrays["labels"])
    assert np.array_equal(confidence, np.rint(arrays["confidence"] * 255))


def test_an_overlay_is_an_image_of_the_same_size(client):
    assert Image.open(io.BytesIO(ask(client, "?format=overlay").content)).size == (60, 40)


def test_a_form_may_carry_the_image(client):
    answer = client.post("/v1/segment", files={"image": ("flag.png", png(FLAG), "image/png")})

    assert answer.content == ask(client).content


@pytest.mark.parametrize(
    ("data", "headers", "status", "words"),
    [
        (b"", {}, 400, "empty"),
        (b"hello", {}, 400, "text"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", {}, 400, "text"),
        (png(FLAG)[:-40], {}, 400, "cut short"),
        (png(flag(101, 100)), {}, 400, "10,000 pixels"),
        (png(FLAG), {"content-type": "text/html"}, 415, "text/html"),
        (b"x", {"content-type": "multipart/form-data"}, 400, "boundary"),
        (b"--b\r\nno form", {"content-type": "multipart/form-data; boundary=b"}, 400, "form"),
        (bytes(100_001), {}, 413, "100,000 bytes"),
        (png(FLAG), {"x-deadline-ms": "soon"}, 400, "soon"),
    ],
    ids=["empty", "text", "eps", "cut", "bomb", "type", "boundary", "form", "long", "deadline"],
)
def test_what_is_no_image_is_refused_in_one_sentence(client, data, headers, status, words):
    answer = ask(client, data=data, **headers)

    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert list(answer.json()) == ["error"]


def test_an_image_of_12_bits_is_read_by_the_levels_of_the_model():
    shallow = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (40, 1))
    deep = np.rint(shallow.astype(float) * 4095 / 255).astype(np.uint16)

    with gated(levels=(0.0, 4095.0)) as (client, _):
        overlays = [client.post("/v1/segment?format=overlay", content=png(image)).content for image in (shallow, deep)]

    assert overlays[0] == overlays[1]


def test_a_form_without_the_field_is_told_its_name(client):
    answer = client.post("/v1/segment", files={"photo": ("flag.png", png(FLAG), "image/png")})

    assert answer.status_code == 400
    assert "'image'" in answer.json()["error"]


@pytest.mark.parametrize(("query", "status"), [("?model=other", 404), ("?format=gif", 422), ("?masks=all", 422)])
def test_a_name_that_is_none_is_refused(client, query, status):
    answer = ask(client, query)

    assert answer.status_code == status
    assert answer.json()["error"]


def test_one_bad_image_among_many_fails_alone(client):
    statuses = [ask(client, data=data).status_code for data in (png(FLAG), b"no", png(FLAG))]

    assert statuses == [200, 400, 200]


def test_models_are_described(client):
    document = client.get("/v1/models").json()

    assert document["default"] == "colours"
    assert document["limits"] == {"body_bytes": 100_000, "pixels": 10_000, "needs_token": False}
    assert document["models"][0]["state"] == "ready"
    assert [row["name"] for row in document["models"][0]["classes"]] == list(CLASSES.names)


def test_samples_come_with_the_server_and_nothing_else_does(client, photo):
    assert "street.jpg" in client.get("/v1/examples").json()
    assert client.get("/v1/examples/street.jpg").content == photo.read_bytes()
    assert client.get("/v1/examples/camvid.json").status_code == 404
    assert client.get("/v1/examples/..%2F..%2Fapp.py").status_code == 404


def test_the_openapi_document_names_the_routes(client):
    document = client.get("/openapi.json").json()

    assert {"/v1/segment", "/v1/models", "/v2/health/ready"} <= set(document["paths"])
    assert "multipart/form-data" in json.dumps(document["paths"]["/v1/segment"])
