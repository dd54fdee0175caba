"""`cgrseg train`: from a recipe and labelled pictures to weights."""

import signal
import sys
from pathlib import Path

import click

from cgrseg.cli import options

RESUMABLE = 75


@click.command(epilog="\b\nExample:\n  cgrseg train recipes/cgrseg-t-camvid.yaml --data camvid=path/to/CamVid")
@click.argument("recipe", type=options.FILE)
@options.data
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Change a setting, such as train.steps=1000.")
@click.option("--init", help="Weights to start from: bundled name, file or hub id.")
@click.option("--resume", is_flag=True, help="Go on with the run in the output folder.")
@options.device
@click.option("-o", "--output", type=options.FOLDER, help="Folder of the run.  [default: runs/<name of the recipe>]")
def train(
    recipe: Path,
    data: options.DataPath,
    overrides: tuple[str, ...],
    init: str | None,
    resume: bool,
    device: str,
    output: Path | None,
) -> None:
    """Train a network by a RECIPE. Its weights, its log and all settings go into one folder."""
    import cgrseg
    from cgrseg.cli.training_display import TrainingDisplay

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = cgrseg.read_recipe(recipe, (*overrides, *data.overrides()))
    folder = output or Path("runs") / recipe.stem
    try:
        with TrainingDisplay() as display:
            best = cgrseg.train(settings, data.path, folder, init=init, resume=resume, device=device, watch=display)
        click.echo(best)
    except KeyboardInterrupt:
        if not (folder / "state.pt").exists():
            raise
        click.echo(f"cgrseg: stopped; the same command with --resume goes on from {folder}", err=True)
        sys.exit(RESUMABLE)
