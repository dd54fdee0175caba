"""`cgrseg serve`: weights behind HTTP."""

import importlib.util

import click

from cgrseg.cli import serve_options as settings_of
from cgrseg.config import DEFAULT_WEIGHTS
from cgrseg.errors import MissingExtra
from cgrseg.serving.settings import ServeConfig

NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


@click.command(epilog="\b\nExample:\n  cgrseg serve cgrseg-lite-everyday --port 8080")
@click.argument("weights", metavar="[WEIGHTS...]", nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@settings_of.engine
@settings_of.device
@settings_of.threads
@settings_of.workers
@settings_of.queue
@settings_of.deadline
@settings_of.body
@settings_of.pixels
@settings_of.allow_url
@settings_of.token
@click.pass_obj
def serve(settings: dict, weights: tuple[str, ...], host: str, port: int) -> None:
    """Serve WEIGHTS over HTTP until stopped. Each a bundled name, file or hub id, or NAME= and that.

    Without any it is the bundled model of everyday scenes, cgrseg-lite-everyday.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"{' and '.join(missing)} not installed",
            advice="run: pip install 'cgrseg[serve]'",
        )
    from cgrseg.serving.server import serve as run

    run(ServeConfig(weights=weights or (DEFAULT_WEIGHTS,), **settings), host, port)
