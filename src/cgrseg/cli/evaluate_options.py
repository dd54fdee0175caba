"""How weights are run and what is measured by `cgrseg evaluate`: options that the command takes as one."""

from collections.abc import Callable

import click

from cgrseg.cli import options

REPORT = (
    "Write all that is known as a web page (.html), .json and .csv beside it; implies --boundary and --calibration."
)


def keep(group: str) -> Callable[[click.Context, click.Parameter, object], None]:
    """What puts an option among the settings of a group."""

    def put(ctx: click.Context, param: click.Parameter, value: object) -> None:
        ctx.ensure_object(dict).setdefault(group, {})[param.name] = value

    return put


def running(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what `cgrseg.load` is told."""
    put = keep("running")
    choice = click.Choice(options.ENGINES)
    engine = click.option("--engine", type=choice, default="auto", show_default=True, expose_value=False, callback=put)
    told = "cpu, cuda, or one of several, cuda:1."
    device = click.option("--device", default="cpu", show_default=True, help=told, expose_value=False, callback=put)
    told, count = "CPU threads.  [default: all cores]", click.IntRange(min=1)
    threads = click.option("--threads", type=count, help=told, expose_value=False, callback=put)
    return engine(device(threads(command)))


def measures(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the scores that take longer."""
    put = keep("measures")
    told = "Score the edges of the classes, too (Boundary IoU)."
    boundary = click.option("--boundary", is_flag=True, help=told, expose_value=False, callback=put)
    told = "Compare confidence with accuracy, too."
    calibration = click.option("--calibration", is_flag=True, help=told, expose_value=False, callback=put)
    return boundary(calibration(command))
