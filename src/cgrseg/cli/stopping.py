"""Signals that ask a run to stop: the first lets it finish its step and save, a second ends it at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cgrseg.cli.progress import say

RESUMABLE = 75
"""The exit code of a run that saved its state and can go on."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def heeding_signals() -> Iterator[Callable[[], bool]]:
    """A block in which SIGTERM and Ctrl-C only ask; gives what tells whether one of them came."""
    came: list[int] = []

    def heed(number: int, frame: FrameType | None) -> None:
        if came:
            signal.default_int_handler(number, frame)
        came.append(number)
        say("stopping after this step; once more stops at once", is_error=True)

    before = {number: signal.signal(number, heed) for number in SIGNALS}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
