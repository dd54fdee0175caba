"""A server process under stress: full queues, passed deadlines, closed connections, shutdown."""

import http.client
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.colour_engine import flag
from support.served import png, serving_gated, wait_until

pytestmark = pytest.mark.slow

FLAG = png(flag(40, 60))


class Stressed:
    """A server with an engine that can be held, and clients beside it."""

    def __init__(self, served, closed, pool) -> None:
        self.served, self.closed, self.pool = served, closed, pool

    def hold(self) -> None:
        """Let the engine wait from now on, and forget when it was asked before."""
        self.closed.touch()
        (self.closed.parent / "asked").unlink(missing_ok=True)

    def release(self) -> None:
        """Let the engine work."""
        self.closed.unlink(missing_ok=True)

    def asked(self) -> int:
        """How often the engine was asked since it was held."""
        asked = self.closed.parent / "asked"
        return len(asked.read_text().splitlines()) if asked.exists() else 0

    def send(self, **headers):
        """Segment an image in the background."""
        return self.pool.submit(self.served.ask, "POST", "/v1/segment", FLAG, **headers)

    def depth(self) -> int:
        """How many images the server says that it has in hand."""
        told = self.served.ask("GET", "/metrics")[2].decode()
        line = next(line for line in told.splitlines() if line.startswith("cgrseg_queue_depth{"))
        return round(float(line.split()[-1]))


@pytest.fixture
def stressed(tmp_path):
    with serving_gated(tmp_path, queue=2) as (served, closed), ThreadPoolExecutor(8) as pool:
        under = Stressed(served, closed, pool)
        yield under
        under.release()


def test_the_request_beyond_the_queue_is_sent_away_before_its_body_is_read(stressed):
    stressed.hold()
    waiting = [stressed.send(), stressed.send()]
    wait_until(lambda: stressed.depth() == 2)

    beyond = stressed.served.connect()
    beyond.putrequest("POST", "/v1/segment")
    beyond.putheader("Content-Length", "1000000")
    beyond.endheaders()
    refused = http.client.HTTPResponse(beyond.sock)
    refused.begin()
    told = refused.read(10), refused.status, refused.headers["Retry-After"]
    beyond.close()
    stressed.release()

    assert told == (b'{"error":"', 503, "1")
    assert [answer.result()[0] for answer in waiting] == [200, 200]


def test_a_sender_of_a_long_body_gets_to_read_why_it_is_refused(stressed):
    stressed.hold()
    waiting = [stressed.send(), stressed.send()]
    wait_until(lambda: stressed.depth() == 2)

    status, _, body = stressed.served.ask("POST", "/v1/segment", bytes(20_000_000))
    stressed.release()

    assert (status, body[:9]) == (503, b'{"error":')
    assert [answer.result()[0] for answer in waiting] == [200, 200]


def test_work_whose_deadline_passed_is_not_computed(stressed):
    stressed.hold()
    first = stressed.send()
    wait_until(lambda: stressed.asked() == 1)

    late = stressed.send(X_Deadline_Ms="200").result()
    stressed.release()

    assert first.result()[0] == 200
    assert late[0] == 504
    assert stressed.send().result()[0] == 200
    assert stressed.asked() == 2


def test_work_of_a_client_that_left_is_dropped(stressed):
    stressed.hold()
    first = stressed.send()
    wait_until(lambda: stressed.asked() == 1)
    leaver = stressed.served.connect()
    leaver.request("POST", "/v1/segment", FLAG)
    wait_until(lambda: stressed.depth() == 2)

    leaver.close()
    wait_until(lambda: stressed.depth() == 1)
    stressed.release()

    assert first.result()[0] == 200
    assert stressed.send().result()[0] == 200
    assert stressed.asked() == 2
    assert 499 in [line["status"] for line in stressed.served.log()]


def test_asked_to_stop_it_takes_no_more_and_finishes_what_it_has(stressed):
    stressed.hold()
    in_hand = [stressed.send(), stressed.send()]
    wait_until(lambda: stressed.depth() == 2)
    watcher = stressed.served.connect()
    watcher.connect()

    stressed.served.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not stressed.served.answers("/v2/health/ready", 200))
    watcher.close()
    stressed.release()

    assert [answer.result()[0] for answer in in_hand] == [200, 200]
    assert stressed.served.stop() == 0


def test_a_body_without_a_length_is_cut_off_at_the_limit(tmp_path):
    with serving_gated(tmp_path, body_bytes=100_000) as (served, _):
        chunks = (bytes(50_000) for _ in range(40))
        connection = served.connect()
        connection.request("POST", "/v1/segment", chunks, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        answer = connection.getresponse()

        assert answer.status == 413
        assert b"100,000 bytes" in answer.read()
        connection.close()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads a process' memory from /proc")
def test_memory_does_not_grow_with_the_number_of_requests(tmp_path):
    with serving_gated(tmp_path) as (served, _):
        send(served, 400)
        before = resident_kb(served)

        send(served, 1200)

        assert resident_kb(served) - before < 8_000


def send(served, times: int) -> None:
    """Segment an image again and again, on one connection, in formats by turns."""
    connection = served.connect()
    for number in range(times):
        connection.request("POST", f"/v1/segment?format={('png', 'json', 'npz', 'maps')[number % 4]}", FLAG)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


def resident_kb(served) -> int:
    """Memory of the server's process."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])
