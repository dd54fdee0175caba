"""`cgrseg train`: from labelled pictures, with a recipe or without, to weights and a verdict."""

import signal
import sys
from pathlib import Path

import click

from cgrseg.cli import options, train_deviations, train_options
from cgrseg.cli.train_plan import settle
from cgrseg.cli.train_verdict import tell_verdict

RESUMABLE = 75
EXAMPLE = """\b
Example:
  cgrseg train --init cgrseg-t-camvid --data folder=my-photos
  cgrseg train recipes/cgrseg-t-camvid.yaml --data camvid=path/to/CamVid"""


@click.command(epilog=EXAMPLE)
@click.argument("recipe", type=options.FILE, required=False)
@options.data
@train_options.overrides
@train_options.beginning
@train_deviations.option
@train_options.unlabelled
@train_options.output
@click.pass_obj
def train(
    begin: dict,
    recipe: Path | None,
    data: options.DataPath,
    overrides: tuple[str, ...],
    unlabelled: Path | None,
    output: Path | None,
) -> None:
    """Train a network by a RECIPE, or by settings made from the data. All of a run goes into one folder."""
    if click.get_current_context().meta[train_deviations.ASKED]:
        train_deviations.print_deviations(recipe, overrides, data)
        return
    import cgrseg
    from cgrseg.cli.training_display import TrainingDisplay

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = begin[train_options.GROUP]
    folder = output or Path("runs") / (recipe.stem if recipe else data.path.resolve().name)
    settings = settle(recipe, folder, data, overrides, begin)
    try:
        with TrainingDisplay() as display:
            best = cgrseg.train(settings, data.path, folder, watch=display, **begin)
    except KeyboardInterrupt:
        if not (folder / "state.pt").exists():
            raise
        click.echo(f"cgrseg: stopped; the same command with --resume goes on from {folder}", err=True)
        sys.exit(RESUMABLE)
    tell_verdict(folder, data, unlabelled, begin["device"])
    click.echo(best)
