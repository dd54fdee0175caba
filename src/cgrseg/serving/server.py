"""Runs the server in one process or several.

    one process    serve -- uvicorn.Server
    several        serve -- Supervisor --+-- worker      a worker that dies is replaced; signals go to all of them
                                         +-- worker ...

Each process is an event loop that serves until SIGTERM or Ctrl-C and then finishes the requests it has.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_NODELAY, create_server, socket
from tempfile import TemporaryDirectory
from threading import Timer

import uvicorn
from fastapi import FastAPI
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess

from cgrseg.errors import CGRSegError, reason
from cgrseg.predictor import Segmenter
from cgrseg.serving import ServeConfig
from cgrseg.serving.app import build_app
from cgrseg.serving.connection import ConnectionProtocol
from cgrseg.serving.metrics import SHARED_FOLDER

logger = logging.getLogger(__name__)

Loader = Callable[[str], Segmenter]

SHUTDOWN_SECONDS = 10
"""Time after the deadline of the last request for its response to be sent."""

EXIT_SECONDS = 2.0
"""Time after that for the threads of the process to end; they are abandoned then."""
HEALTH_SECONDS = 20
"""Time that a worker may take to start or to answer its parent, before it is replaced."""


class Supervisor(Multiprocess):
    """uvicorn's supervisor of worker processes, which share one socket.

    The handlers of signals are the ones that uvicorn looks up by name. The other methods are overridden as uvicorn
    calls nothing when a worker dies, and waits for workers without a limit.

    Args:
        settings: of uvicorn; its `app` is for the first workers, which answer while they load.
        listening: the socket.
        replacement: builds the application of a worker that replaces another one.
    """

    def __init__(self, settings: uvicorn.Config, listening: socket, replacement: Callable[[], FastAPI]) -> None:
        super().__init__(settings, [listening])
        self._replacement = replacement

    def init_processes(self) -> None:
        super().init_processes()
        self.config.app = self._replacement

    def keep_subprocess_alive(self) -> None:
        before = {worker.pid for worker in self.processes}
        super().keep_subprocess_alive()
        for pid in before - {worker.pid for worker in self.processes}:
            mark_process_dead(pid)  # its gauges leave the shared metrics

    def join_all(self) -> None:
        end = time.monotonic() + (self.config.timeout_graceful_shutdown or 0) + EXIT_SECONDS
        for worker in self.processes:
            worker.process.join(max(0.0, end - time.monotonic()))
            worker.process.kill()
        super().join_all()

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
        http=ConnectionProtocol,
        workers=config.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_worker_healthcheck=HEALTH_SECONDS,
        timeout_graceful_shutdown=round(config.deadline_s) + SHUTDOWN_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    listening = listen(host, port, settings.backlog)
    if is_single:
        run_single(settings, listening)
        return
    with TemporaryDirectory(prefix="cgrseg-serve-") as folder:
        os.environ[SHARED_FOLDER] = folder
        replacement = partial(build_worker, config, load_weights, is_replacement=True)
        supervisor = Supervisor(settings, listening, replacement)
        announce(listening)
        supervisor.run()


def listen(host: str, port: int, backlog: int) -> socket:
    """A socket that listens on an address, for this process and its workers.

    Raises:
        CGRSegError: the port is taken, or the address is not one of this machine.
    """
    try:
        listening = create_server((host, port), family=AF_INET6 if ":" in host else AF_INET, backlog=backlog)
    except (OSError, TypeError, ValueError) as error:  # the last two for a host that is no name
        why = error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
        raise CGRSegError(
            f"cannot listen on port {port} of {host}: {why}",
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
        leave()
    abandoning = Timer(EXIT_SECONDS, leave)
    abandoning.daemon = True
    abandoning.start()


def leave() -> None:
    """End this process now, whatever its threads do."""
    logging.shutdown()
    os._exit(0)


def build_worker(config: ServeConfig, load_weights: Loader | None, *, is_replacement: bool = False) -> FastAPI:
    """Build the application of this process; its logs go to stderr, and SIGHUP reloads its weights.

    One that replaces another worker takes no requests before its models are loaded: the others serve on.
    """
    logging.basicConfig(format="cgrseg: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # our own message says what is wrong with an image
    access = logging.getLogger("cgrseg.access")
    access.propagate = False
    access.addHandler(logging.StreamHandler(sys.stderr))
    app = build_app(config, load_weights, loads_first=is_replacement)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: app.state.server.start())
    return app


def announce(listening: socket) -> None:
    """Log the URL of the server."""
    host, port = listening.getsockname()[:2]
    logger.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)
