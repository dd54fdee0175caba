"""Decodes images in processes of their own, which a time limit ends: threads that decode cannot be stopped.

    encoded image -- quick by its headers? --+-- yes: quick lane --+-- a process of the lane --> pixels, by a pipe
                                             +-- no:  slow lane ---+         |
                                                              too slow, or nobody waits: killed, replaced

A small file can keep a decoder busy for minutes. It gets `DECODE_SECONDS`, and in a lane that quick images do not use.
Run as a program, this module is such a process.
"""

import asyncio
import faulthandler
import json
import logging
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image as Pillow

import cgrseg
from cgrseg.config import Levels
from cgrseg.data.images import decode_image
from cgrseg.errors import ImageError
from cgrseg.serving import ServeConfig
from cgrseg.types import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Accepted formats (JPEG includes MPO): none whose decoder starts another program or goes by the file name."""
DECODE_SECONDS = 10.0
"""Longest that an image may take to decode."""
MAX_SCANS = 100
"""Scans of a progressive JPEG, each of which goes over the whole image; usual are about 10."""
QUICK_PIXELS = 16_000_000
"""Largest JPEG or PNG in the quick lane; a scan beyond the usual 10 counts as a tenth of the image."""
MAX_PARTS = 5000
"""JPEG segments or PNG chunks that are looked at."""
MAX_PROCESSES = 4
"""Processes of the quick lane; one engine keeps fewer busy."""

MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""A JPEG marker other than those within a scan: an escaped FF, a restart, and fill bytes."""
SCAN, END, FRAMES = 0xDA, 0xD9, (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
HEADER = struct.Struct(">Qdd")
"""What precedes an image on its way to a process: its bytes, and the black and white of the model, or NaN."""
NO_LEVELS = (float("nan"), float("nan"))
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Source:
    """An image of a request, yet to be decoded: what to hold while it is, and how."""

    turn: AbstractAsyncContextManager[object]
    decode: Callable[[Levels | None], Awaitable[Image]]
    """Given the levels of the model."""


def decoded(image: Image) -> Source:
    """The source of an image that came as pixels."""

    async def decode(levels: Levels | None) -> Image:  # noqa: ARG001  pixels are 8 bits deep
        return image

    return Source(nullcontext(), decode)


def is_quick(data: bytes) -> bool:
    """Whether the headers show a JPEG or PNG that is decoded in about a second at most; it does not decode anything.

    Raises:
        ImageError: a JPEG has more than `MAX_SCANS` scans.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg_cost(data) <= QUICK_PIXELS
    return data.startswith(PNG_SIGNATURE) and _png_cost(data) <= QUICK_PIXELS


def _jpeg_cost(data: bytes) -> float:
    """Pixels of the largest frame times scans, beyond the usual; infinite if there are too many segments to tell."""
    position, scans, pixels = 2, 0, 0
    for _ in range(MAX_PARTS):
        marker = MARKER.search(data, position)
        if marker is None or marker[1][0] == END:
            return pixels * max(1.0, scans / 10)
        position = marker.end()
        if marker[1][0] in (0x01, 0xD8):  # without content
            continue
        content = data[position : position + 7]
        if marker[1][0] in FRAMES and len(content) == 7:
            pixels = max(pixels, struct.unpack(">HH", content[3:7])[0] * struct.unpack(">HH", content[3:7])[1])
        scans += marker[1][0] == SCAN
        if scans > MAX_SCANS:
            raise ImageError(
                f"the image is a JPEG of more than {MAX_SCANS} scans", advice="save it again, not progressive"
            )
        position += int.from_bytes(content[:2], "big")
    return float("inf")


def _png_cost(data: bytes) -> float:
    """Pixels; infinite if there are too many chunks."""
    position = len(PNG_SIGNATURE)
    for _ in range(MAX_PARTS):
        if position + 8 > len(data) or data[position + 4 : position + 8] == b"IEND":
            return float(int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big"))
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return float("inf")


class DecoderProcess:
    """A process that decodes one image after another, for the thread that calls."""

    def __init__(self, config: ServeConfig) -> None:
        limits = (str(config.pixels), str(DECODE_SECONDS))
        self._command = [sys.executable, "-P", "-m", "cgrseg.serving.decoding", *limits]
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended, self._lock = False, Lock()

    def start(self) -> None:
        """Start the process unless it runs; it loads its libraries meanwhile."""
        with self._lock:
            if self._is_ended or (self._process is not None and self._process.poll() is None):
                return
            path = os.pathsep.join(filter(None, (str(Path(cgrseg.__file__).parents[1]), os.environ.get("PYTHONPATH"))))
            environment, pipe = os.environ | {"PYTHONPATH": path}, subprocess.PIPE
            self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, env=environment)  # noqa: S603

    def kill(self) -> None:
        """Tell the process to end for good, whatever it does, and return at once."""
        with self._lock:
            self._is_ended = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End the process for good."""
        self.kill()
        if self._process is not None:
            _clean_up(self._process)

    def decode(self, data: bytes, levels: Levels | None = None) -> Image:
        """Decode the bytes of an image file, by these levels if it has more than 8 bits a channel.

        Raises:
            ImageError: it cannot be decoded, or not in time.
        """
        self.start()
        process, started = self._process, time.monotonic()
        if process is None:
            raise ImageError("the image was not decoded, as nobody waits for it any more")
        try:
            return _exchange(process, data, levels)
        except (OSError, EOFError, ValueError):  # the process has ended, or answers nonsense
            process.kill()
            _clean_up(process)
        self.start()
        kept = "save it again as a plain JPEG or PNG"
        if time.monotonic() - started < DECODE_SECONDS:
            raise ImageError("the image made its decoder fail", advice=kept)
        raise ImageError(f"the image takes longer than {DECODE_SECONDS:g} s to decode", advice=kept)


def _exchange(process: subprocess.Popen[bytes], data: bytes, levels: Levels | None) -> Image:
    """Send an image file to a process and receive the pixels."""
    assert process.stdin is not None
    assert isinstance(process.stdout, BufferedReader)
    process.stdin.write(HEADER.pack(len(data), *(levels or NO_LEVELS)))
    process.stdin.write(data)
    process.stdin.flush()
    return _receive(process.stdout)


def _clean_up(process: subprocess.Popen[bytes]) -> None:
    """Wait for a killed process and close its pipes."""
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()


def _receive(stream: BufferedReader) -> Image:
    """The answer of a decoder process: a line of JSON, and pixels after it unless it is an error."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    answer = json.loads(line)
    if "problem" in answer:
        raise ImageError(answer["problem"], answer["advice"])
    image = np.empty((answer["height"], answer["width"], 3), np.uint8)
    if stream.readinto(image.data.cast("B")) < image.size:
        raise EOFError
    return image


class Lane:
    """Processes that decode, as many images at a time."""

    def __init__(self, config: ServeConfig, count: int) -> None:
        self._config, self._idle = config, [DecoderProcess(config) for _ in range(count)]
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="decoder")
        self.turn = asyncio.Semaphore(count)

    def start(self) -> None:
        """Start the processes, and return at once."""
        for process in self._idle:
            self._threads.submit(process.start)

    async def decode(self, data: bytes, levels: Levels | None) -> Image:
        """Decode an image; whoever calls holds the `turn`. Cancelling it kills the process, and another one starts."""
        process = self._idle.pop()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, process.decode, data, levels)
        except asyncio.CancelledError:
            process.kill()
            self._threads.submit(process.close)
            process = DecoderProcess(self._config)
            self._threads.submit(process.start)
            raise
        finally:
            self._idle.append(process)

    def stop(self) -> None:
        """End the processes."""
        for process in self._idle:
            process.close()
        self._threads.shutdown(wait=False)


class Decoders:
    """The two lanes of a server."""

    def __init__(self, config: ServeConfig) -> None:
        quick = max(1, min(MAX_PROCESSES, (os.cpu_count() or 1) // config.workers))
        self._quick, self._slow = Lane(config, quick), Lane(config, max(1, quick // 2))

    def start(self) -> None:
        """Start the processes of the quick lane; those of the other start when they are needed."""
        self._quick.start()

    def source(self, data: bytes) -> Source:
        """The source of the image in a file.

        Raises:
            ImageError: a JPEG has more than `MAX_SCANS` scans.
        """
        lane = self._quick if is_quick(data) else self._slow
        return Source(lane.turn, partial(lane.decode, data))

    def stop(self) -> None:
        """End all processes."""
        self._quick.stop()
        self._slow.stop()


def run(pixels: int, seconds: float) -> None:
    """Decode the images that come through stdin, until its end; the process ends itself if one takes too long."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the server stops when its requests are done, this with the server
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    Pillow.init()
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with Path(os.devnull).open("w") as nowhere:
        while len(header := requests.read(HEADER.size)) == HEADER.size:
            length, *levels = HEADER.unpack(header)
            data = requests.read(length)
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
            parts = _answer(data, pixels, None if np.isnan(levels).any() else (levels[0], levels[1]))
            faulthandler.cancel_dump_traceback_later()
            for part in parts:
                answers.write(part)
            answers.flush()


def _answer(data: bytes, pixels: int, levels: Levels | None) -> list[bytes | memoryview]:
    try:
        image = np.ascontiguousarray(decode_image(data, "the image", levels, formats=FORMATS, most_pixels=pixels))
    except ImageError as error:
        return [json.dumps({"problem": error.problem, "advice": error.advice}).encode() + b"\n"]
    size = {"height": image.shape[0], "width": image.shape[1]}
    return [json.dumps(size).encode() + b"\n", image.data.cast("B")]


if __name__ == "__main__":
    run(int(sys.argv[1]), float(sys.argv[2]))
