"""`cgrseg train`: from labelled images, with a recipe or without, to weights and a verdict."""

import sys
from pathlib import Path

import click

from cgrseg.cli import options, train_deviations, train_options
from cgrseg.cli.stopping import RESUMABLE
from cgrseg.cli.train_plan import settle
from cgrseg.cli.train_run import is_first_process, run
from cgrseg.cli.train_verdict import tell_verdict

EXAMPLE = """\b
Example:
  cgrseg train --data folder=my-photos
  cgrseg train recipes/cgrseg-t-camvid.yaml --data camvid=path/to/CamVid
  cgrseg train mixed.yaml --data voc=path/to/VOC --data mine=my-photos"""


@click.command(epilog=EXAMPLE)
@click.argument("recipe", type=options.FILE, required=False)
@options.several_data
@train_options.overrides
@train_options.beginning
@train_deviations.option
@train_options.unlabelled
@train_options.output
@click.pass_obj
def train(
    begin: dict,
    recipe: Path | None,
    data: options.DataPaths,
    overrides: tuple[str, ...],
    unlabelled: Path | None,
    output: Path | None,
) -> None:
    """Train a network by a RECIPE, or by settings made from the data. All of a run goes into one folder."""
    if click.get_current_context().meta[train_deviations.ASKED]:
        train_deviations.print_deviations(recipe, overrides, data)
        return
    from cgrseg.errors import RunStopped

    begin = begin[train_options.GROUP]
    folder = output or Path("runs") / (recipe.stem if recipe else data.label)
    settings = settle(recipe, folder, data, overrides, begin)
    try:
        where = data.by_source(settings.sources) if settings.sources else data.single().path
        best = run(settings, where, folder, begin)
    except RunStopped as stopped:
        click.echo(f"cgrseg: {stopped}; the same command with --resume continues it", err=True)
        sys.exit(RESUMABLE)
    if is_first_process():
        tell_verdict(folder, where, str(data), unlabelled, begin["device"])
        click.echo(best)
