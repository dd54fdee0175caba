"""`cgrseg train`: from a recipe and labelled pictures to weights."""

import sys
from pathlib import Path

import click
from click.core import ParameterSource

from cgrseg.cli import options
from cgrseg.cli.stopping import RESUMABLE, heeding_signals

DEVIATIONS = "cgrseg.deviations"
"""Where the context keeps that --deviations was given."""


def _ask_for_deviations(context: click.Context, parameter: click.Parameter, asked: bool) -> None:  # noqa: ARG001
    """Keep the flag, and give --data, which is not read then, a value that lets the command line pass."""
    context.meta[DEVIATIONS] = asked
    if asked:
        context.default_map = {"data": "folder=."}


@click.command(epilog="\b\nExample:\n  cgrseg train recipes/cgrseg-t-camvid.yaml --data camvid=path/to/CamVid")
@click.argument("recipe", type=options.FILE)
@options.data
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Change a setting, such as train.steps=1000.")
@click.option("--init", help="Weights to start from: bundled name, file or hub id.")
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder.")
@click.option("--accept-changes", is_flag=True, help="With --resume: go on though recipe or pictures have changed.")
@click.option(
    "--deviations",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_ask_for_deviations,
    help="Print where the recipe and this code differ from what was published, and stop; needs no --data.",
)
@options.device
@click.option("-o", "--output", type=options.FOLDER, help="Folder of the run.  [default: runs/<name of the recipe>]")
def train(
    recipe: Path,
    data: options.DataPath,
    overrides: tuple[str, ...],
    init: str | None,
    resume: bool,
    accept_changes: bool,
    device: str,
    output: Path | None,
) -> None:
    """Train a network by a RECIPE. Its weights, its log and all settings go into one folder."""
    if click.get_current_context().meta[DEVIATIONS]:
        _print_deviations(recipe, overrides, data)
        return
    import cgrseg
    from cgrseg.cli.training_display import TrainingDisplay
    from cgrseg.errors import RunStopped

    settings = cgrseg.read_recipe(recipe, (*overrides, *data.overrides()))
    folder = output or Path("runs") / recipe.stem
    goes_on = "changed" if resume and accept_changes else resume
    try:
        with heeding_signals() as is_asked, TrainingDisplay() as display:
            best = cgrseg.train(
                settings,
                data.path,
                folder,
                init=init,
                resume=goes_on,
                device=device,
                watch=lambda event: display(event) or is_asked(),
            )
        click.echo(best)
    except RunStopped as stopped:
        click.echo(f"cgrseg: {stopped}", err=True)
        sys.exit(RESUMABLE)


def _print_deviations(recipe: Path, overrides: tuple[str, ...], data: options.DataPath) -> None:
    from cgrseg.deviations import compare_with_published
    from cgrseg.recipes import read_recipe

    is_given = click.get_current_context().get_parameter_source("data") is ParameterSource.COMMANDLINE
    kind, *merge = data.overrides()
    settings = read_recipe(recipe, (*overrides, *([kind] if is_given else ()), *merge))
    comparison = compare_with_published(settings)
    click.echo(f"Compared with {comparison.source}.")
    for title, found in (("Settings", comparison.settings), ("Whatever the settings", comparison.always)):
        click.echo(f"\n{title}:" if found else f"\n{title}: no difference.")
        for deviation in found:
            click.echo(click.wrap_text(str(deviation), 100, initial_indent="  ", subsequent_indent="    "))
