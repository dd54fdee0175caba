"""Images that take long to decode, on a real server: the others are served, and it stops in time."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from support import hostile
from support.colour_engine import flag
from support.served import png, serving_gated, wait_until

from cgrseg.errors import ImageError
from cgrseg.serving.decoding import MAX_SCANS, is_quick

FLAG = png(flag(40, 60))
SLOW = hostile.commented_ppm(12_000_000)  # at least four seconds
SCANS = hostile.progressive_jpeg(7000, 3000)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that gives a decoder two seconds."""
    with serving_gated(tmp_path_factory.mktemp("decoding"), decode_seconds=2, deadline_s=20) as (served, _):
        yield served


def depth(served) -> float:
    lines = served.ask("GET", "/metrics")[2].decode().splitlines()
    return float(next(line for line in lines if line.startswith("cgrseg_queue_depth{")).split()[-1])


@pytest.mark.slow
def test_good_images_are_served_while_slow_ones_are_decoded_and_those_are_ended(server):
    with ThreadPoolExecutor(3) as clients:
        uploads = [clients.submit(server.ask, "POST", "/v1/segment", SLOW) for _ in range(3)]
        wait_until(lambda: depth(server) == 3)
        started = time.monotonic()
        good = [server.ask("POST", "/v1/segment", FLAG)[0] for _ in range(5)]
        seconds, in_hand = time.monotonic() - started, depth(server)

        assert good == [200] * 5
        assert seconds < 4
        assert in_hand >= 1
        for upload in uploads:
            status, _, body = upload.result()
            sentence = "the image takes longer than 2 s to decode; save it again as a plain JPEG or PNG"
            assert (status, json.loads(body)) == (400, {"error": sentence})
    assert depth(server) == 0


@pytest.mark.slow
def test_a_jpeg_of_many_scans_is_refused_whichever_way_it_comes(server):
    text = base64.b64encode(SCANS).decode()
    tensor = {"name": "encoded", "datatype": "BYTES", "shape": [1], "data": [text]}
    form = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + SCANS + b"\r\n--x--\r\n"
    ways = {
        "raw": server.ask("POST", "/v1/segment", SCANS),
        "form": server.ask("POST", "/v1/segment", form, Content_Type="multipart/form-data; boundary=x"),
        "oip": server.ask("POST", "/v2/models/colours/infer", json.dumps({"inputs": [tensor]})),
    }

    for name, (status, _, body) in ways.items():
        assert status == 400, name
        assert b"a JPEG of more than 100 scans" in body, name


@pytest.mark.slow
def test_the_process_of_an_image_that_nobody_waits_for_is_ended(server):
    leaver = server.connect()
    leaver.request("POST", "/v1/segment", SLOW)
    wait_until(lambda: depth(server) == 1)

    leaver.close()

    wait_until(lambda: depth(server) == 0)
    assert server.ask("POST", "/v1/segment", FLAG)[0] == 200


@pytest.mark.slow
def test_it_stops_in_time_whatever_it_decodes(tmp_path):
    with (
        serving_gated(tmp_path, deadline_s=2) as (served, _),
        socket.create_connection((served.host, served.port)) as one,
    ):
        one.sendall(b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(SLOW) + SLOW)
        wait_until(lambda: depth(served) == 1)
        started = time.monotonic()

        assert served.stop() == 0
        assert time.monotonic() - started < 2 + 10


@pytest.mark.slow
def test_decoders_end_with_a_server_that_is_killed(tmp_path):
    with serving_gated(tmp_path, decode_seconds=2) as (served, _):
        served.ask("POST", "/v1/segment", FLAG)
        decoders = decoders_of(served)
        os.kill(served.process.pid, signal.SIGKILL)

        assert decoders
        wait_until(lambda: not any(is_running(pid) for pid in decoders))
        served.process.wait()


def decoders_of(served) -> list[int]:
    command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(served.process.pid)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [int(line.split()[0]) for line in lines if "cgrseg.serving.decoding" in line]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(file, format="JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("data", [FLAG, jpeg(), jpeg(progressive=True, exif=b"Exif\0\0\xff\xda\xff\xda" * 99)])
def test_usual_files_are_quick(data):
    assert is_quick(data)


@pytest.mark.parametrize(
    "data",
    [
        hostile.commented_ppm(10),
        hostile.jpeg_of_segments(9000),
        hostile.png_of_chunks(9000),
        hostile.progressive_jpeg(7000, 10),
        png(np.zeros((4001, 4001, 3), np.uint8)),
    ],
)
def test_other_formats_large_images_and_long_headers_are_not(data):
    assert not is_quick(data)


def test_scans_are_counted_past_fill_bytes_and_garbage():
    few, many = hostile.progressive_jpeg(64, MAX_SCANS - 1), hostile.progressive_jpeg(64, MAX_SCANS)

    assert is_quick(few)
    for data in (many, many.replace(b"\xff\xda", b"\xff\xff\xff\xda"), many.replace(b"\xff\xda", b"xy\xff\0\xff\xda")):
        with pytest.raises(ImageError, match="more than 100 scans; save it again, not progressive"):
            is_quick(data)
