"""Uploads that keep decoders busy, against `cgrseg serve`: what happens to good requests, memory and shutdown.

python benchmarks/attack.py --seconds 15 --uploads 2 --json attack.json

For each kind of file: a fresh server gets the file `--uploads` times at once, again as soon as it has answered, while a
client sends a good image over and over and another asks every 10 ms whether the server lives; its longest wait is the
longest hold of the event loop. Then comes SIGTERM, uploads still running. Memory is that of all processes of the server
at its highest.
"""

import argparse
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

TESTS = Path(__file__).parents[1] / "tests"
sys.path.append(str(TESTS))

from support.hostile import ATTACKS  # the tests send the same files

STOP_SECONDS = 90
"""After which a server that does not stop is killed."""
PHOTO = Path(__file__).parents[1] / "src/cgrseg/assets/street.jpg"


class Attacked:
    """A server process, and the threads that load it until it is told to stop."""

    def __init__(self, weights: str, options: list[str]) -> None:
        command = [sys.executable, "-m", "cgrseg", "serve", weights, "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603  our own command
        self.port, self.is_over = self._find_port(), threading.Event()
        self.waits: list[float] = []
        self.good: list[int] = []
        self.bad: list[int] = []
        self.peak_mib = 0.0
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        while self.ask("GET", "/v2/health/ready")[0] != 200:
            time.sleep(0.1)

    def _find_port(self) -> int:
        while line := self.process.stderr.readline():
            if found := re.search(r"serving on http://[\d.]+:(\d+)", line):
                return int(found[1])
        raise SystemExit("the server did not start")

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, float]:
        """The status of one request, 0 for a closed connection, and its seconds."""
        connection, started = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120), time.perf_counter()
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            answer.read()
            return answer.status, time.perf_counter() - started
        except OSError:
            return 0, time.perf_counter() - started
        finally:
            connection.close()

    def run(self, name: str, file: bytes, uploads: int, seconds: float) -> dict:
        """Attack for some seconds, then stop the server; the figures."""
        loads = [lambda: self.bad.append(self.ask("POST", "/v1/segment", file)[0])] * uploads
        loads += [lambda: self.good.append(self.ask("POST", "/v1/segment?format=json", PHOTO.read_bytes())[0])]
        loads += [self._watch, self._weigh]
        threads = [threading.Thread(target=self._repeat, args=(load,), daemon=True) for load in loads]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        served, told = self.good.count(200), sorted(set(self.good))
        self.is_over.set()
        stopping = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            code = "killed"
            self.process.kill()
        return {
            "attack": name,
            "file_mb": round(len(file) / 1e6, 2),
            "good_served": served,
            "good_statuses": told,
            "attack_statuses": sorted(set(self.bad)),
            "longest_hold_ms": round(max(self.waits, default=seconds) * 1e3),
            "peak_mib": round(self.peak_mib),
            "stop_s": round(time.perf_counter() - stopping, 1),
            "exit": code,
        }

    def _repeat(self, load: Callable[[], object]) -> None:
        while not self.is_over.is_set():
            load()

    def _watch(self) -> None:
        status, wait = self.ask("GET", "/v2/health/live")
        if status:
            self.waits.append(wait)
        time.sleep(0.01)

    def _weigh(self) -> None:
        tree = psutil.Process(self.process.pid)
        try:
            used = sum(process.memory_info().rss for process in [tree, *tree.children(recursive=True)])
        except psutil.NoSuchProcess:
            return
        self.peak_mib = max(self.peak_mib, used / 2**20)
        time.sleep(0.05)


def main() -> None:
    """Run the attacks and print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", default="cgrseg-lite-everyday")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--uploads", type=int, default=2)
    parser.add_argument("--only", default="", help="part of the names of attacks to run")
    parser.add_argument("--option", action="append", default=[], help="for the server, as --option=--queue=8")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for name, build in ATTACKS.items():
        if given.only in name:
            rows.append(Attacked(given.weights, given.option).run(name, build(), given.uploads, given.seconds))
            print(json.dumps(rows[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
