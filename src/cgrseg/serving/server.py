"""The process: one event loop that serves until it is asked to stop, then finishes what it has in hand."""

import logging
import signal
import sys
from collections.abc import Callable
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from cgrseg.prediction import Segmenter
from cgrseg.serving.app import build_app
from cgrseg.serving.settings import ServeConfig

logger = logging.getLogger(__name__)

SPARE_SECONDS = 10
"""After the deadline of the last request, for its answer to be read."""


class Server(uvicorn.Server):
    """A server that says where it is once it answers, and that it stops before it does."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            logger.info("serving on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        assert isinstance(app, FastAPI)
        app.state.house.is_stopping = True
        super().handle_exit(sig, frame)


def serve(config: ServeConfig, host: str, port: int, load_weights: Callable[[str], Segmenter] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; what is in hand then is finished.

    Args:
        config: the settings.
        host: where to listen.
        port: 0 takes a free one, which the log names.
        load_weights: takes the place of `cgrseg.load` with the settings' engine.

    Raises:
        CGRSegError: two models would have one name.
    """
    log_access()
    settings = uvicorn.Config(
        build_app(config, load_weights),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(config.deadline_s) + SPARE_SECONDS,
    )
    listening = settings.bind_socket()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # uvicorn's own heed them meanwhile; afterwards the exit code is 0
    Server(settings).run(sockets=[listening])


def log_access() -> None:
    """Write the access log to stderr as lines of JSON, and keep the web server's own chatter out."""
    access = logging.getLogger("cgrseg.access")
    access.propagate = False
    access.setLevel(logging.INFO)
    access.addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
