"""The Open Inference Protocol: JSON and binary tensors, valid and malformed."""

import base64
import json
import tracemalloc

import numpy as np
import pytest
from support.colour_engine import colour_info, flag
from support.served import GatedEngine, gated, png

from cgrseg.predictor import Segmenter
from cgrseg.serving import ServeConfig, oip_tensors
from cgrseg.serving.http_errors import RequestError
from cgrseg.serving.oip_tensors import parse_request

FLAG = flag(40, 60)


@pytest.fixture(scope="module")
def client():
    with gated(body_bytes=100_000, pixels=10_000) as (opened, _):
        yield opened


def infer(client, *inputs, **more):
    return client.post("/v2/models/colours/infer", json={"inputs": list(inputs)} | more)


def tensor(datatype="UINT8", shape=(40, 60, 3), data=None, **more):
    return (
        {"name": "x", "datatype": datatype, "shape": shape, "data": FLAG.ravel().tolist()}
        | more
        | ({} if data is None else {"data": data})
    )


@pytest.fixture(scope="module")
def expected():
    return Segmenter(GatedEngine(), colour_info())(FLAG)


def test_the_server_and_its_model_describe_themselves(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/models/colours/ready").json() == {"name": "colours", "ready": True}
    assert client.get("/v2/models/colours").json()["inputs"][0]["shape"] == [1, -1, -1, 3]
    assert client.get("/v2/models/other").status_code == 404


@pytest.mark.parametrize(("shape", "answered"), [([1, 40, 60, 3], [1, 40, 60]), ([40, 60, 3], [40, 60])])
def test_numbers_in_json_are_segmented(client, expected, shape, answered):
    document = infer(client, tensor(shape=shape), id="seven").json()

    output = document["outputs"][0]
    assert (document["model_name"], document["id"], len(document["outputs"])) == ("colours", "seven", 1)
    assert (output["name"], output["datatype"], output["shape"]) == ("labels", "UINT8", answered)
    assert output["data"] == expected.labels.ravel().tolist()


def test_a_file_in_json_is_base64(client, expected):
    text = base64.b64encode(png(FLAG)).decode()

    document = infer(client, tensor("BYTES", [1], [text]), outputs=[{"name": "confidence"}]).json()

    assert document["outputs"][0]["datatype"] == "FP32"
    assert np.allclose(document["outputs"][0]["data"], expected.confidence.ravel())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "0 inputs"),
        ([tensor("FP32")], "FP32"),
        ([tensor(shape=[40, 60])], r"[40, 60]"),
        ([tensor(shape=[40, 61, 3])], "7320 values; 7200"),
        ([tensor(shape=[-1, -1, 3])], "is not an image"),
        ([tensor(data=[256] * 7200)], "0 to 255"),
        ([tensor(data=[[1], [1, 2]])], "evenly nested"),
        ([tensor(data=["a"] * 7200)], "0 to 255"),
        ([tensor("BYTES", [1], ["no base64!"])], "Base64"),
        ([tensor("BYTES", [1], [base64.b64encode(b"text").decode()])], "text"),
        ([tensor("BYTES", [2], ["", ""])], "one image"),
        ([{"name": "x", "datatype": "UINT8", "shape": [1, 1, 3]}], "neither"),
        ([tensor(parameters={"binary_data_size": 5})], "0 bytes follow"),
        ([{"name": "x"}], "datatype"),
        ([tensor(shape=[10**17] * 9)], "inputs.0.shape: List should have at most 4 items"),
        ([tensor(shape=[1, 10**17, 3])], "inputs.0.shape.1: Input should be less than or equal to 2147483647"),
        ([tensor(data=["a" * 5000, *["b"] * 3000])], "0 to 255"),
        ([tensor(data=[[]] * 3000)], "0 to 255"),
        ([tensor(data=[1.5] * 7200)], "0 to 255"),
        ([tensor(data=[True] * 7200)], "0 to 255"),
        ([tensor("BYTES", [1], [""] * 3000)], "holds one image; more came"),
    ],
)
def test_an_input_that_is_no_image_is_refused_in_one_sentence(client, given, words):
    answer = infer(client, *given)

    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_an_image_of_too_many_pixels_is_refused(client):
    assert infer(client, tensor(shape=[1_000_000, 1_000_000, 3])).status_code == 413


def test_an_output_is_given_once(client):
    answer = infer(client, tensor(), outputs=[{"name": "labels"}] * 2)
    listed = infer(client, tensor(), outputs=[{"name": "labels"}] * 800)

    assert (answer.status_code, listed.status_code) == (400, 400)
    assert "output 'labels' is asked for more than once" in answer.json()["error"]


@pytest.mark.parametrize("body", [b"1," * oip_tensors.MAX_JSON_VALUES, b"[]" * (oip_tensors.MAX_JSON_LISTS + 1)])
def test_so_many_values_in_json_are_refused_unparsed(body):
    config = ServeConfig(weights=("colours",))

    with pytest.raises(RequestError, match="more than 524,288 values or 65,536 lists; send the tensor as binary data"):
        parse_request(body, None, config)


def test_texts_as_values_take_no_memory_for_the_longest(client):
    texts = ["a" * 40_000, *["b"] * 3_000]

    tracemalloc.start()
    try:
        infer(client, tensor(data=texts))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 10 * 2**20  # padded, 480 MB


def test_an_output_that_there_is_not_is_named(client):
    answer = infer(client, tensor(), outputs=[{"name": "depth"}])

    assert answer.status_code == 400
    assert "'depth'" in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "9999", "x"])
def test_a_header_that_does_not_fit_is_refused(client, length):
    headers = {"Inference-Header-Content-Length": length}

    answer = client.post("/v2/models/colours/infer", content=b"{}", headers=headers)

    assert answer.status_code == 400


def test_a_length_inside_the_bytes_cannot_reach_beyond_them(client):
    behind = b"\xff\xff\xff\xff1234"
    asked = {"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(behind)}}
    header = json.dumps({"inputs": [asked]}).encode()

    answer = client.post(
        "/v2/models/colours/infer",
        content=header + behind,
        headers={"Inference-Header-Content-Length": str(len(header))},
    )

    assert answer.status_code == 400
    assert "beyond its end" in answer.json()["error"]
