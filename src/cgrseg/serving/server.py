"""Runs the server in one process or several, with timeouts for slow clients.

    one process    serve -- uvicorn.Server
    several        serve -- Supervisor --+-- worker      a worker that dies is replaced; signals go to all of them
                                         +-- worker ...

Each process is an event loop that serves until SIGTERM or Ctrl-C and then finishes the requests it has.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_NODELAY, create_server, socket
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from cgrseg.errors import CGRSegError
from cgrseg.predictor import Segmenter
from cgrseg.serving import ServeConfig
from cgrseg.serving.app import build_app
from cgrseg.serving.metrics import SHARED_FOLDER

logger = logging.getLogger(__name__)

Loader = Callable[[str], Segmenter]

HEADER_SECONDS = 10.0
"""From a new connection, or the first byte of another request on it, until the headers are complete."""
WRITE_SECONDS = 60.0
"""From when a response does not fit into the send buffers until the client has received what waits."""
SHUTDOWN_SECONDS = 10
"""Time after the deadline of the last request for its response to be sent."""

TIMEOUT_BODY = json.dumps({"error": "the headers did not come in time"}).encode()
TIMEOUT_RESPONSE = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(TIMEOUT_BODY), TIMEOUT_BODY)
)


class TimeoutProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with timeouts for slow headers and slow readers.

        new connection, or data after a response -- headers complete? -- request (its body has the deadline) -- response
                                                    408, closed                                received? else aborted

    uvicorn has no setting for either, and no ASGI middleware can add them: it is called only after the headers, and
    has no access to the send buffer. Only the callbacks of `asyncio.Protocol` are overridden; `cycle`, the request that
    uvicorn is answering, is the one attribute of uvicorn that is read.
    """

    header_seconds, write_seconds = HEADER_SECONDS, WRITE_SECONDS
    _header_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # call pause_writing as soon as anything waits
        self._start_header_timer()

    def data_received(self, data: bytes) -> None:
        if self._is_idle:
            self._start_header_timer()
        super().data_received(data)
        if not self._is_idle:
            self._header_timer = _cancel(self._header_timer)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._write_timer = _cancel(self._write_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._header_timer, self._write_timer = _cancel(self._header_timer), _cancel(self._write_timer)
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _start_header_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.header_seconds, self._end_slow_headers)

    def _end_slow_headers(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(TIMEOUT_RESPONSE)
            self.transport.close()
            self.loop.call_later(self.header_seconds, self.transport.abort)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class Supervisor(Multiprocess):
    """uvicorn's supervisor of worker processes, which share one socket.

    The handlers of signals are the ones that uvicorn looks up by name. `keep_subprocess_alive` is overridden as the
    gauges of a dead worker must leave the shared metrics, and uvicorn calls nothing when a worker dies.
    """

    def keep_subprocess_alive(self) -> None:
        for worker in self.processes:
            if not worker.process.is_alive():
                mark_process_dead(worker.process.pid)
        super().keep_subprocess_alive()

    def handle_term(self) -> None:
        for listening in self.sockets:
            listening.close()  # otherwise new connections would wait in its backlog until the last worker has stopped
        super().handle_term()

    def handle_hup(self) -> None:
        """Let the workers reload their weights; uvicorn would replace the workers."""
        for worker in self.processes:
            if worker.pid is not None:
                os.kill(worker.pid, signal.SIGHUP)


def serve(config: ServeConfig, host: str, port: int, load_weights: Loader | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish the current requests. SIGHUP reloads the weights.

    Args:
        config: the settings.
        host: the address to listen on.
        port: 0 takes a free one, which is logged.
        load_weights: replaces `cgrseg.load` with the engine of the settings.

    Raises:
        CGRSegError: two models have the same name, or a name does not fit into a URL; or the port is taken.
    """
    config.sources()
    is_single = config.workers == 1
    settings = uvicorn.Config(
        build_worker(config, load_weights) if is_single else partial(build_worker, config, load_weights),
        factory=not is_single,
        host=host,
        port=port,
        http=TimeoutProtocol,
        workers=config.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(config.deadline_s) + SHUTDOWN_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listening = listen(host, port, settings.backlog)
    if is_single:
        run_single(settings, listening)
        return
    with TemporaryDirectory(prefix="cgrseg-serve-") as folder:
        os.environ[SHARED_FOLDER] = folder
        supervisor = Supervisor(settings, [listening])
        announce(listening)
        supervisor.run()


def listen(host: str, port: int, backlog: int) -> socket:
    """A socket that listens on an address, for this process and its workers.

    Raises:
        CGRSegError: the port is taken, or the address is not one of this machine.
    """
    try:
        listening = create_server((host, port), family=AF_INET6 if ":" in host else AF_INET, backlog=backlog)
    except OSError as error:
        raise CGRSegError(
            f"cannot listen on port {port} of {host}: {error.strerror or error}",
            advice="choose another port or address",
            setting="port",
        ) from None
    # Inherited by each connection: headers and body are two writes, and the second must not wait for the first's ACK.
    listening.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    listening.set_inheritable(True)
    return listening


def run_single(settings: uvicorn.Config, listening: socket) -> None:
    """Serve in this process until it is asked to stop."""
    app, server = settings.app, uvicorn.Server(settings)
    assert isinstance(app, FastAPI)
    app.state.server.should_exit = lambda: server.should_exit

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own while it runs. Afterwards it restores these and raises the signal again: with the
    # default handlers the exit code would not be 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    announce(listening)
    server.run(sockets=[listening])
    if app.state.server.is_loading:  # Python would abort if it shut down while that thread runs
        logging.shutdown()
        os._exit(0)


def build_worker(config: ServeConfig, load_weights: Loader | None) -> FastAPI:
    """Build the application of this process; its logs go to stderr, and SIGHUP reloads its weights."""
    logging.basicConfig(format="cgrseg: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # our own message says what is wrong with an image
    access = logging.getLogger("cgrseg.access")
    access.propagate = False
    access.addHandler(logging.StreamHandler(sys.stderr))
    app = build_app(config, load_weights)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: app.state.server.start())
    return app


def announce(listening: socket) -> None:
    """Log the URL of the server."""
    host, port = listening.getsockname()[:2]
    logger.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
