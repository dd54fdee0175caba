"""`cgrseg serve` as a process with real weights, from loading to shutdown."""

import io
import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.hostile import commented_ppm
from support.served import png, save_lite, save_tiny, serving, wait_until

import cgrseg
from cgrseg.errors import CGRSegError
from cgrseg.serving.server import listen
from cgrseg.weights import load_weights, save_weights

pytestmark = pytest.mark.slow


def test_the_label_map_over_http_is_the_offline_one_byte_for_byte(server, tiny, photo, tmp_path):
    offline = cgrseg.load(tiny)(photo)

    status, _, over_http = server.ask("POST", "/v1/segment", photo.read_bytes())
    arrays = server.ask("POST", "/v1/segment?format=npz", photo.read_bytes())[2]

    assert status == 200
    assert over_http == offline.save(tmp_path).read_bytes()
    assert np.array_equal(np.load(io.BytesIO(arrays))["labels"], offline.labels)
    assert np.array_equal(np.load(io.BytesIO(arrays))["confidence"], offline.confidence)


def test_every_odd_image_gets_a_map_of_its_size_or_a_sentence(server, shared_data):
    files = sorted(file for file in (shared_data / "odd_images").iterdir() if file.suffix != ".tsv")
    assert len(files) > 10

    for file in files:
        status, headers, body = server.ask("POST", "/v1/segment", file.read_bytes())
        if status == 200:
            expected = cgrseg.data.images.read_size(file)
            assert Image.open(io.BytesIO(body)).size == expected[::-1], file.name
            assert (int(headers["X-Height"]), int(headers["X-Width"])) == expected, file.name
        else:
            assert status in (400, 413), file.name
            assert json.loads(body)["error"], file.name
    assert server.ask("POST", "/v1/segment", png(np.zeros((9, 9, 3), np.uint8)))[0] == 200


def test_a_broken_model_is_named_and_the_others_serve(tiny, photo, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")

    with serving(tmp_path / "broken.safetensors", tiny) as served:
        assert served.answers("/v2/health/live", 200)
        assert served.answers("/v2/health/ready", 503)
        wait_until(lambda: states(served) == {"broken": "failed", "tiny": "ready"})
        models = json.loads(served.ask("GET", "/v1/models")[2])["models"]

        assert served.answers("/v2/health/ready", 503)
        assert "broken.safetensors" in models[0]["error"]
        assert served.ask("POST", "/v1/segment?model=tiny", photo.read_bytes())[0] == 200
        assert served.ask("POST", "/v1/segment", photo.read_bytes())[0] == 503
        assert served.stop() == 0


def test_asked_to_stop_while_it_loads_it_ends_well(tiny):
    with serving(tiny) as served:
        assert served.stop() == 0


def states(served) -> dict[str, str]:
    return json.loads(served.ask("GET", "/v2/health/ready")[2])["models"]


def test_new_weights_take_the_place_of_the_old_as_a_whole(photo, tmp_path):
    file = save_tiny(tmp_path / "tiny.safetensors")

    with serving(file) as served:
        before = labels_of(served.wait_ready(), photo)
        content = file.read_bytes()
        file.write_bytes(b"no weights")
        served.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("tiny failed" in line for line in served.lines))
        file.write_bytes(content)
        save_without_numbers(file)
        served.process.send_signal(signal.SIGHUP)
        wait_until(lambda: any("tiny failed: " in line and "NaN or infinity" in line for line in served.lines))
        kept = labels_of(served, photo)
        save_lite(file)
        served.process.send_signal(signal.SIGHUP)
        wait_until(lambda: sum("tiny is ready" in line for line in served.lines) == 2)

        assert json.loads(served.ask("GET", "/v1/models")[2])["models"][0]["size"] == "lite"
        assert kept == before
        assert labels_of(served, photo) == cgrseg.load(file)(photo).save(tmp_path).read_bytes() != before


def save_without_numbers(path: Path) -> None:
    """Weights that are all finite, for a network whose output is not."""
    model, info = load_weights(path)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.fill_(-1.0)
    save_weights(path, model, info)


def labels_of(served, photo) -> bytes:
    status, _, body = served.ask("POST", "/v1/segment", photo.read_bytes())
    assert status == 200
    return body


def test_while_a_killed_worker_is_replaced_the_other_serves_and_the_metrics_stay_right(tiny, photo):
    with serving(tiny, "--workers", 2) as served, ThreadPoolExecutor(4) as clients:
        served.wait_ready()
        workers = children(served)
        wait_until(lambda: sum("tiny is ready" in line for line in served.lines) == 2)
        for _ in range(6):
            labels_of(served, photo)
        counted = served.ask("GET", "/metrics")[2].decode()
        slow = [clients.submit(served.ask, "POST", "/v1/segment", commented_ppm(2_000_000)) for _ in range(4)]
        wait_until(lambda: depth(served) == 4)

        os.kill(workers[0], signal.SIGKILL)
        told = []
        while sum("tiny is ready" in line for line in served.lines) < 3:
            told.append(served.answers("/v2/models/tiny/ready", 200))
        for upload in slow:
            upload.exception()

        assert 'cgrseg_requests_total{route="/v1/segment",status="200"} 6.0' in counted
        assert len(set(children(served)) - set(workers)) == 1
        assert len(told) > 2
        assert all(told[1:])
        wait_until(lambda: depth(served) == 0)
        labels_of(served.wait_ready(), photo)
        assert served.stop() == 0


def depth(served) -> float:
    lines = served.ask("GET", "/metrics")[2].decode().splitlines()
    return float(next(line for line in lines if line.startswith("cgrseg_queue_depth{")).split()[-1])


def children(served) -> list[int]:
    """The worker processes of a server; the tracker of its resources is none of them."""
    lines = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(served.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    return [int(line.split()[0]) for line in lines if "spawn_main" in line]


def test_a_port_that_is_taken_is_named():
    with listen("127.0.0.1", 0, backlog=1) as first:
        port = first.getsockname()[1]

        with pytest.raises(CGRSegError, match=rf"cannot listen on port {port} of 127\.0\.0\.1: Address already in use"):
            listen("127.0.0.1", port, backlog=1)
