"""How a run of `cgrseg train` begins: options that the command takes as one."""

from collections.abc import Callable

import click

from cgrseg.cli import options

GROUP = "beginning"


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    context.ensure_object(dict).setdefault(GROUP, {})[parameter.name] = value


def beginning(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what `cgrseg.train` is told beside settings, data and folder."""
    told = "Weights to start from: bundled name, file or hub id."
    init = click.option("--init", help=told, expose_value=False, callback=_keep)
    told = "Go on with the run in the output folder; without RECIPE by its own settings."
    resume = click.option("--resume", is_flag=True, help=told, expose_value=False, callback=_keep)
    told = "With --resume: go on though the recipe or the images have changed."
    accept = click.option("--accept-changes", is_flag=True, help=told, expose_value=False, callback=_keep)
    told = "Write numbers and images for TensorBoard, too."
    board = click.option("--tensorboard", is_flag=True, help=told, expose_value=False, callback=_keep)
    told = "cpu, cuda, or one of several, cuda:1."
    device = click.option("--device", default="cpu", show_default=True, help=told, expose_value=False, callback=_keep)
    return init(resume(accept(board(device(command)))))


overrides = click.option(
    "--set", "overrides", multiple=True, metavar="A.B=C", help="Change a setting, such as train.steps=1000."
)
unlabelled = click.option(
    "--unlabelled", type=options.FOLDER, help="Images without labels; the verdict says which to label next."
)
output = click.option(
    "-o", "--output", type=options.FOLDER, help="Folder of the run.  [default: runs/<recipe or data>]"
)
