"""`cgrseg serve`: weights behind HTTP."""

import importlib.util
import os
from pathlib import Path

import click

from cgrseg.cli import options
from cgrseg.config import DEFAULT_WEIGHTS, EngineName
from cgrseg.errors import CGRSegError, MissingExtra
from cgrseg.serving import ServeConfig

NEEDED = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
TOKEN = "CGRSEG_TOKEN"  # noqa: S105  the name of the environment variable, not a token
MIB = 1 << 20


@click.command(epilog="\b\nExample:\n  cgrseg serve cgrseg-lite-everyday --port 8080")
@click.argument("weights", metavar="[WEIGHTS...]", nargs=-1)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@options.engine
@options.device
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of each engine.  [default: all cores]")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=ServeConfig.workers,
    show_default=True,
    help="Processes, each with all models; one that dies is replaced.",
)
@click.option(
    "--queue",
    type=click.IntRange(min=1),
    default=ServeConfig.queue,
    show_default=True,
    help="Images that a model has in hand at most; one more gets 503.",
)
@click.option(
    "--deadline",
    "deadline_s",
    type=click.FloatRange(min=0, min_open=True),
    default=ServeConfig.deadline_s,
    show_default=True,
    help="Seconds from a request's arrival until its work is dropped.",
)
@click.option(
    "--body-mib",
    type=click.IntRange(min=1),
    default=ServeConfig.body_bytes // MIB,
    show_default=True,
    help="Largest body of a request, in MiB.",
)
@click.option(
    "--pixels",
    type=click.IntRange(min=1),
    default=ServeConfig.pixels,
    show_default=True,
    help="Largest image that is decoded.",
)
@click.option("--allow-url", is_flag=True, help="Let requests name images by URL, fetched from public addresses only.")
@click.option(
    "--token-file",
    type=options.FILE,
    help=f"File that holds the token which requests must show.  [default: ${TOKEN}, or no token]",
)
def serve(
    weights: tuple[str, ...],
    host: str,
    port: int,
    engine: EngineName,
    device: str,
    threads: int | None,
    workers: int,
    queue: int,
    deadline_s: float,
    body_mib: int,
    pixels: int,
    allow_url: bool,
    token_file: Path | None,
) -> None:
    """Serve WEIGHTS over HTTP until stopped. Each a bundled name, file or hub id, or NAME= and that.

    Without any it is the bundled model of everyday scenes, cgrseg-lite-everyday.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{' and '.join(missing)} not installed", advice="run: pip install 'cgrseg[serve]'")
    from cgrseg.serving.server import serve as run

    config = ServeConfig(
        weights=weights or (DEFAULT_WEIGHTS,),
        engine=engine,
        device=device,
        threads=threads,
        workers=workers,
        queue=queue,
        deadline_s=deadline_s,
        body_bytes=body_mib * MIB,
        pixels=pixels,
        allow_url=allow_url,
        token=read_token(token_file),
    )
    run(config, host, port)


def read_token(file: Path | None) -> str | None:
    """The token in a file or in the environment; None if neither is given.

    Raises:
        CGRSegError: it is empty.
    """
    if file is None and TOKEN not in os.environ:
        return None
    source = f"${TOKEN}" if file is None else str(file)
    token = (os.environ[TOKEN] if file is None else file.read_text(encoding="utf-8")).strip()
    if not token or not token.isascii():
        raise CGRSegError(
            f"{source} holds no token", advice="put one line of ASCII text there, for example 32 random letters"
        )
    return token
