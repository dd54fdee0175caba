"""The settings of `cgrseg serve`, and where the token comes from."""

import os
from functools import partial
from pathlib import Path

import click

from cgrseg.cli import options
from cgrseg.cli.benchmark_options import keep
from cgrseg.errors import CGRSegError
from cgrseg.serving.settings import ServeConfig

TOKEN = "CGRSEG_TOKEN"  # noqa: S105  the name of the environment variable, not a token
MIB = 1 << 20

setting = partial(click.option, expose_value=False, callback=keep, show_default=True)
engine = setting("--engine", type=click.Choice(options.ENGINES), default=ServeConfig.engine)
device = setting("--device", default=ServeConfig.device, help="cpu, cuda, or one of several, cuda:1.")
threads = setting("--threads", type=click.IntRange(min=1), help="CPU threads of each engine.  [default: all cores]")
workers = setting(
    "--workers",
    type=click.IntRange(min=1),
    default=ServeConfig.workers,
    help="Processes, each with all models; one that dies is replaced.",
)
queue = setting(
    "--queue",
    type=click.IntRange(min=1),
    default=ServeConfig.queue,
    help="Images that a model has in hand at most; one more gets 503.",
)
deadline = setting(
    "--deadline",
    "deadline_s",
    type=click.FloatRange(min=0, min_open=True),
    default=ServeConfig.deadline_s,
    help="Seconds from a request's arrival until its work is dropped.",
)
body = setting(
    "--body-mib",
    "body_bytes",
    type=click.IntRange(min=1),
    default=ServeConfig.body_bytes // MIB,
    callback=lambda ctx, param, value: keep(ctx, param, value * MIB),
    help="Largest body of a request, in MiB.",
)
pixels = setting(
    "--pixels",
    type=click.IntRange(min=1),
    default=ServeConfig.pixels,
    help="Largest image that is decoded.",
)
allow_url = setting(
    "--allow-url",
    is_flag=True,
    help="Let requests name images by URL, fetched from public addresses only.",
)
token = setting(
    "--token-file",
    "token",
    type=options.FILE,
    callback=lambda ctx, param, value: keep(ctx, param, read_token(value)),
    help=f"File that holds the token which requests must show.  [default: ${TOKEN}, or no token]",
)


def read_token(file: Path | None) -> str | None:
    """The token in a file or in the environment; none where neither is given.

    Raises:
        CGRSegError: it is empty.
    """
    if file is None and TOKEN not in os.environ:
        return None
    place = f"${TOKEN}" if file is None else str(file)
    token = (os.environ[TOKEN] if file is None else file.read_text(encoding="utf-8")).strip()
    if not token or not token.isascii():
        raise CGRSegError(
            f"{place} holds no token",
            advice="put one line of ASCII text there, for example 32 random letters",
        )
    return token
