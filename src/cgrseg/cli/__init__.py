"""The command `cgrseg`: one file for each verb, and one place where errors become exit codes."""

import logging
import sys

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
from cgrseg.errors import CGRSegError

MISTAKE, INTERRUPTED = 1, 130
EXAMPLE = "\b\nExample:\n  cgrseg predict photo.jpg"
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    commands=[predict, train, evaluate, data, export, benchmark, serve, info], epilog=EXAMPLE, context_settings=HELP
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def commands() -> None:
    """Turn pictures into maps of labels, and learn to from labelled pictures."""
    logging.basicConfig(format="cgrseg: %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # our own sentence says what is wrong with a picture


def main() -> None:
    """Run the command line and leave with 0, 1 (a mistake), 2 (usage), 3 (some inputs failed) or 75 (resumable)."""
    try:
        sys.exit(commands.main(prog_name="cgrseg", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (CGRSegError, OSError) as error:
        click.echo(f"cgrseg: error: {error}", err=True)
        sys.exit(MISTAKE)
    except (KeyboardInterrupt, click.Abort):
        click.echo("cgrseg: stopped", err=True)
        sys.exit(INTERRUPTED)
