"""The public client of the Open Inference Protocol against a server process."""

import numpy as np
import pytest
from support.served import png

import cgrseg

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture(scope="module")
def triton(server):
    public = pytest.importorskip("tritonclient.http", reason="needs the package tritonclient[http]")
    with public.InferenceServerClient(f"{server.host}:{server.port}") as client:
        yield public, client


@pytest.fixture(scope="module")
def expected(tiny):
    return cgrseg.load(tiny)(IMAGE)


def test_it_finds_server_and_model_ready(triton):
    _, client = triton

    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert client.is_model_ready("tiny", "1")
    assert client.get_server_metadata()["name"] == "cgrseg"
    assert client.get_model_metadata("tiny")["outputs"][0]["name"] == "labels"


@pytest.mark.parametrize("is_binary", [True, False])
def test_it_gets_labels_and_confidence_for_numbers(triton, expected, is_binary):
    public, client = triton
    given = public.InferInput("image", [1, 50, 70, 3], "UINT8")
    given.set_data_from_numpy(IMAGE[None], binary_data=is_binary)
    wanted = [public.InferRequestedOutput(name, binary_data=is_binary) for name in ("labels", "confidence")]

    result = client.infer("tiny", [given], outputs=wanted, request_id="a")

    assert result.get_response()["id"] == "a"
    assert np.array_equal(result.as_numpy("labels")[0], expected.labels)
    assert np.array_equal(result.as_numpy("confidence")[0], expected.confidence)


def test_it_gets_labels_for_the_file_of_an_image(triton, expected):
    public, client = triton
    given = public.InferInput("encoded", [1], "BYTES")
    given.set_data_from_numpy(np.array([png(IMAGE)], dtype=np.object_))

    result = client.infer("tiny", [given])

    assert np.array_equal(result.as_numpy("labels")[0], expected.labels)


def test_it_is_told_what_is_wrong(triton):
    public, client = triton
    given = public.InferInput("image", [2, 2], "UINT8")
    given.set_data_from_numpy(np.zeros((2, 2), np.uint8))

    with pytest.raises(public.InferenceServerException, match="is not an image"):
        client.infer("tiny", [given])
