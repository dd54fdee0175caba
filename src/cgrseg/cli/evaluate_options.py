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
    choice, told = click.Choice(options.PROTOCOLS), "How images are shown to the network."
    protocol = click.option(
        "--protocol", type=choice, default="whole", show_default=True, help=told, expose_value=False, callback=put
    )
    told = "Go from logits to labels by the two steps of the authors' code."
    paper = click.option("--paper-exact", is_flag=True, help=told, expose_value=False, callback=put)
    return protocol(paper(engine(device(threads(command)))))


def pace(command: Callable[..., None]) -> Callable[..., None]:
    """Adds how many things are done at a time; what is found does not depend on it."""
    put = keep("pace")
    told, count = "Threads that read images, and as many that count; 0 does one thing at a time.", click.IntRange(0)
    workers = click.option(
        "--workers", type=count, default=1, show_default=True, help=told, expose_value=False, callback=put
    )
    told, count = "Images of one size that may share a call of the engine.", click.IntRange(1)
    batch = click.option(
        "--batch", type=count, default=1, show_default=True, help=told, expose_value=False, callback=put
    )
    return workers(batch(command))


def fitting(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what is learnt from the images."""
    told = "Fit confidence to the images, and write the weights with its temperature to this .safetensors file."
    file = click.option("--calibrate", type=options.FILE, help=told, expose_value=False, callback=keep("fitting"))
    return file(command)


def measures(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the scores that take longer."""
    put = keep("measures")
    told = "Score the edges of the classes, too (Boundary IoU)."
    boundary = click.option("--boundary", is_flag=True, help=told, expose_value=False, callback=put)
    told = "Compare confidence with accuracy, too."
    calibration = click.option("--calibration", is_flag=True, help=told, expose_value=False, callback=put)
    return boundary(calibration(command))
