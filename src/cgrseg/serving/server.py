"""How long a connection may take to say what it wants, and to take its answer: clients that trickle hold nothing.

connection, or bytes after an answer -- headers whole in time? -- request (its body has the deadline) -- answer
                                        no: 408, closed                                  not taken in time: closed hard

The process, or the processes: each an event loop that serves until it is asked to stop, then finishes what it has.

one      serve -- Server
several  serve -- Supervisor --+-- worker      one that dies is replaced; SIGTERM and SIGHUP go to all
                               +-- worker ...
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from tempfile import TemporaryDirectory
from types import FrameType

import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from cgrseg.predictor import Segmenter
from cgrseg.serving.app import build_app
from cgrseg.serving.metrics import SHARED_FOLDER
from cgrseg.serving.settings import ServeConfig

HEADER_SECONDS = 10.0
"""From a connection, or from the first byte of one more request on it, until its headers are whole."""
TAKING_SECONDS = 60.0
"""From when a client is too slow for an answer, or the answer ended, until it has taken what waits."""
BODY = json.dumps({"error": "the headers did not come in time"}).encode()
LATE = b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"


class PatientProtocol(H11Protocol):
    """uvicorn's connection with an end to its patience."""

    header_seconds, taking_seconds = HEADER_SECONDS, TAKING_SECONDS
    _waiting: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._wait()
        super().data_received(data)
        if not self._is_idle:
            self._stop_waiting()
            if self.transport.get_write_buffer_size() == 0:
                self._stop_taking()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._take()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_taking()

    def on_response_complete(self) -> None:
        if self.transport.get_write_buffer_size() > 0:
            self._take()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_taking()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.header_seconds, self._end_waiting)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _end_waiting(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(LATE + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
            self.transport.close()
            self.loop.call_later(self.header_seconds, self.transport.abort)

    def _take(self) -> None:
        if self._taking is None:
            self._taking = self.loop.call_later(self.taking_seconds, self._end_taking)

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _end_taking(self) -> None:
        self._taking = None
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()


logger = logging.getLogger(__name__)

Loader = Callable[[str], Segmenter]
SPARE_SECONDS = 10
"""After the deadline of the last request, for its answer to be read."""


def serve(config: ServeConfig, host: str, port: int, load_weights: Loader | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; what is in hand then is finished. SIGHUP reads the weights again.

    Args:
        config: the settings.
        host: where to listen.
        port: 0 takes a free one, which the log names.
        load_weights: takes the place of `cgrseg.load` with the settings' engine.

    Raises:
        CGRSegError: two models would have one name.
    """
    config.sources()
    is_alone = config.workers == 1
    settings = uvicorn.Config(
        build_worker(config, load_weights) if is_alone else partial(build_worker, config, load_weights),
        factory=not is_alone,
        host=host,
        port=port,
        http=PatientProtocol,
        workers=config.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(config.deadline_s) + SPARE_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listening = settings.bind_socket()
    # Inherited by each connection: headers and body are two writes, and the second must not wait for the first's ACK.
    listening.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # uvicorn's own heed them meanwhile; afterwards the exit code is 0
    if is_alone:
        Server(settings).run(sockets=[listening])
        leave_loading(settings.app)
        return
    with TemporaryDirectory(prefix="cgrseg-serve-") as folder:
        os.environ[SHARED_FOLDER] = folder
        listening.listen()
        announce(listening)
        Supervisor(settings, [listening]).run()


def build_worker(config: ServeConfig, load_weights: Loader | None) -> FastAPI:
    """The application of this process, its logs written to stderr, its weights read again on SIGHUP."""
    logging.basicConfig(format="cgrseg: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # our own sentence says what is wrong with an image
    access = logging.getLogger("cgrseg.access")
    access.propagate = False
    access.addHandler(logging.StreamHandler(sys.stderr))
    app = build_app(config, load_weights)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: app.state.house.start())
    return app


def leave_loading(app: object) -> None:
    """End the process here if weights are still being loaded: Python would abort when it ends under that thread."""
    assert isinstance(app, FastAPI)
    if app.state.house.is_loading:
        logging.shutdown()
        os._exit(0)


def announce(listening: socket) -> None:
    """Say where the server is."""
    host, port = listening.getsockname()[:2]
    logger.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)


class Server(uvicorn.Server):
    """A server that says where it is once it answers, and that it stops before it does."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            announce(listening)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        assert isinstance(app, FastAPI)
        app.state.house.is_stopping = True
        super().handle_exit(sig, frame)


class Supervisor(Multiprocess):
    """Keeps several workers alive, on one address."""

    def keep_subprocess_alive(self) -> None:
        for worker in self.processes:
            if not worker.process.is_alive():
                mark_process_dead(worker.process.pid)
        super().keep_subprocess_alive()

    def handle_term(self) -> None:
        for listening in self.sockets:
            listening.close()  # or callers would wait in its line until the last worker is done
        super().handle_term()

    def handle_hup(self) -> None:
        for worker in self.processes:
            if worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGHUP)
