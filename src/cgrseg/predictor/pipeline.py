"""Overlapping stages: while one image is in the network, the next is read and the one before is labelled.

items -- first (threads) -- second (one thread) -- third (threads) -- results, in the order of the items
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

AHEAD = 4
"""Items in work: one for each of three stages, and one whose result waits to be fetched."""


def overlap(
    items: Iterable[A], first: Callable[[A], B], second: Callable[[B], C], third: Callable[[C], D], workers: int = 1
) -> Generator[Future[D], None, None]:
    """`third(second(first(item)))` of each item, in order and finished, with at most `AHEAD` of them begun.

    Each function is called by one thread only; with several workers that many threads call the first, and as many the
    third, and two more items are begun for each. What one of them raises is raised by the `result()` of that item, and
    does not touch the others. Nothing begins before the first result is asked for, and closing the iterator ends the
    threads after the calls they are in.
    """
    threads = {"first": workers, "second": 1, "third": workers}
    pools = [ThreadPoolExecutor(count, thread_name_prefix=f"overlap-{stage}") for stage, count in threads.items()]

    def submit(item: A) -> Future[D]:
        begun = pools[0].submit(first, item)
        halfway = pools[1].submit(lambda: second(begun.result()))
        return pools[2].submit(lambda: third(halfway.result()))

    try:
        yield from in_order(items, submit, AHEAD + 2 * (workers - 1))
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def in_order(items: Iterable[A], submit: Callable[[A], Future[B]], ahead: int) -> Generator[Future[B], None, None]:
    """The futures that `submit` gives for the items, each finished, with at most `ahead` of them not fetched yet."""
    waiting: deque[Future[B]] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) >= ahead or waiting[0].done():
            yield _finished(waiting.popleft())
    while waiting:
        yield _finished(waiting.popleft())


def _finished(future: Future[B]) -> Future[B]:
    future.exception()  # waits, and raises nothing
    return future
