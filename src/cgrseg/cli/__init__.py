"""The command `cgrseg`: one file for each verb, and one place where errors become exit codes."""

import io
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

import click

from cgrseg import __version__
from cgrseg.cli.benchmark import benchmark
from cgrseg.cli.data import data
from cgrseg.cli.evaluate import evaluate
from cgrseg.cli.export import export
from cgrseg.cli.info import info
from cgrseg.cli.predict import predict
from cgrseg.cli.serve import serve
from cgrseg.cli.train import train
from cgrseg.errors import CGRSegError, sentence_of

MISTAKE, INTERRUPTED = 1, 130
STOP_SECONDS = 10
"""From Ctrl-C until threads that have not ended by then are abandoned."""
OPTIONS = {
    "accept_changes": "--accept-changes",
    "bands": "--bands",
    "data": "--data KIND=PATH",
    "init": "--init",
    "merge": "--merge FILE",
    "output": "-o",
    "port": "--port, --host",
    "protocol": "--protocol",
    "resume": "--resume",
    "scale": "--scale",
    "set": "--set",
    "split": "--split",
    "to": "--to",
}
"""The options that set what errors name; a dotted name is a key of the recipe."""
EXAMPLE = "\b\nExample:\n  cgrseg predict photo.jpg"
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    commands=[predict, train, evaluate, data, export, benchmark, serve, info], epilog=EXAMPLE, context_settings=HELP
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """Turn images into maps of labels, and learn to from labelled images."""
    logging.basicConfig(format="cgrseg: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # our own sentence says what is wrong with an image


def main() -> None:
    """Run the command line and leave with 0, 1 (a mistake), 2 (usage), 3 (some inputs failed) or 75 (resumable)."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # the shell closed it; a file that is opened later must not take its place
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may hold what the terminal's encoding has not
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, interrupt)
    try:
        sys.exit(commands.main(prog_name="cgrseg", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(MISTAKE)
    except (CGRSegError, OSError) as error:
        sentence = sentence_of(error) if isinstance(error, OSError) else str(error)
        click.echo(f"cgrseg: error: {sentence}{option_of(error)}", err=True)
        sys.exit(MISTAKE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("cgrseg: stopped", err=True)
        sys.exit(INTERRUPTED)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Stop as on any Ctrl-C; at the latest after `STOP_SECONDS`, where the system has alarms."""
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, lambda *_: os._exit(INTERRUPTED))
        signal.alarm(STOP_SECONDS)
    signal.default_int_handler(number, frame)


def option_of(error: Exception) -> str:
    """The option that changes what an error is about, in brackets; empty if there is none."""
    if not isinstance(error, CGRSegError) or not error.setting:
        return ""
    option = f"--set {error.setting}=" if "." in error.setting else OPTIONS.get(error.setting, "")
    return f" ({option})" if option else ""
