"""Load on `cgrseg serve`: latency and images a second at several numbers of clients, and what is left under overload.

python benchmarks/serve.py http://127.0.0.1:8080 photo.jpg --clients 1,8,64 --seconds 10 --repeats 3 --json serve.json

Each client keeps one connection and sends the image again as soon as it has the answer; one that is told 503 waits
as `Retry-After` says. The overload is open: requests start at `--overload` times the best rate, whether answers come
or not. Best rate and overload take turns, `--repeats` times, and the medians are printed: goodput is measured against
the rate just before it. Clients start one after another, not at once, and spread what `Retry-After` says, as good
clients do: a herd that comes back in the same millisecond measures its own length.
"""

import argparse
import http.client
import json
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

MOST_OPEN = 256
"""Requests of the overload that are open at a time; those beyond wait for their turn."""


@dataclass
class Tally:
    """What the clients of one run saw."""

    served_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def note(self, status: int, milliseconds: float) -> None:
        """One answer came."""
        if status == 200:
            self.served_ms.append(milliseconds)
        elif status == 503:
            self.refused_ms.append(milliseconds)
        else:
            self.other.append(str(status))

    def told(self, seconds: float) -> dict:
        """The run in figures."""
        return {
            "pictures_per_second": round(len(self.served_ms) / seconds, 2),
            "served": len(self.served_ms),
            "served_ms": percentiles(self.served_ms),
            "refused": len(self.refused_ms),
            "refused_ms": percentiles(self.refused_ms),
            "other": sorted(set(self.other)),
        }


def percentiles(values: list[float]) -> dict[str, float] | None:
    """p50, p95 and p99; none of nothing."""
    if not values:
        return None
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95, 99)}


def ask(connection: http.client.HTTPConnection, path: str, image: bytes, tally: Tally) -> float:
    """Send the image once; the seconds to wait before the next."""
    started = time.perf_counter()
    try:
        connection.request("POST", path, image)
        answer = connection.getresponse()
        answer.read()
    except OSError as error:
        connection.close()
        tally.other.append(type(error).__name__)
        return 1.0
    tally.note(answer.status, (time.perf_counter() - started) * 1000)
    return float(answer.headers.get("Retry-After", 0))


def closed_loop(address: str, path: str, image: bytes, clients: int, seconds: float) -> dict:
    """So many clients, each sending when it has its answer."""
    tally, end = Tally(), time.perf_counter() + seconds

    def client() -> None:
        connection = http.client.HTTPConnection(address, timeout=120)
        while time.perf_counter() < end:
            wait = ask(connection, path, image, tally)
            spread = wait * (1 + random.random())  # noqa: S311  spreads clients, keeps no secret
            time.sleep(max(0.0, min(spread, end - time.perf_counter())))
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
        time.sleep(min(1, seconds) / 10 / clients)
    for thread in threads:
        thread.join()
    return {"clients": clients} | tally.told(time.perf_counter() - started)


def open_loop(address: str, path: str, image: bytes, rate: float, seconds: float) -> dict:
    """Requests at a steady rate, each on a connection of its own."""
    tally = Tally()

    def once() -> None:
        connection = http.client.HTTPConnection(address, timeout=120)
        ask(connection, path, image, tally)
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(MOST_OPEN) as pool:
        for number in range(round(rate * seconds)):
            time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            pool.submit(once)
    return {"offered_per_second": round(rate, 2)} | tally.told(time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--clients", default="1,8,64")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--overload", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--format", default="png")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    address, image = urlsplit(given.url).netloc, given.image.read_bytes()
    path = f"/v1/segment?format={given.format}"
    closed_loop(address, path, image, 1, 1)
    runs = []
    for clients in map(int, given.clients.split(",")):
        runs.append(closed_loop(address, path, image, clients, given.seconds))
        print(json.dumps(runs[-1]))
    fullest = max(runs, key=lambda run: run["pictures_per_second"])["clients"]
    rounds = []
    for _ in range(given.repeats):
        best = closed_loop(address, path, image, fullest, given.seconds)["pictures_per_second"]
        overload = open_loop(address, path, image, given.overload * best, given.seconds)
        rounds.append(overload | {"best": best, "share_of_best": round(overload["pictures_per_second"] / best, 3)})
        print(json.dumps(rounds[-1]))
    medians = {
        "share_of_best": statistics.median(run["share_of_best"] for run in rounds),
        "refused_p99_ms": statistics.median((run["refused_ms"] or {"p99": 0.0})["p99"] for run in rounds),
    }
    print(json.dumps({"medians": medians}))
    if given.json:
        given.json.write_text(
            json.dumps({"closed": runs, "overload": rounds, "medians": medians}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
