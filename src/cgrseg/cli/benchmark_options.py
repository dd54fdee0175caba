"""The settings of `cgrseg benchmark`, and how the text of one becomes a value."""

from functools import partial

import click

from cgrseg.cli import options

BASELINES = ("plain", "segformer-b0", "segformer-b1", "segformer-b2")
"""The names in `cgrseg.benchmarking.baselines.BASELINES`, repeated so that --help need not import PyTorch."""


class Several(click.ParamType[tuple[str, ...]]):
    """Reads `torch,openvino`: some of the choices, with commas between them."""

    name = "a,b,..."

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        for name in names:
            if name not in self.choices:
                self.fail(f"{name!r} is none of {', '.join(self.choices)}", param, ctx)
        return names


class SizeType(click.ParamType[tuple[int, int]]):
    """Reads `512x683`: height and width."""

    name = "HxW"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        height, _, width = value.lower().partition("x")
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            self.fail(f"{value!r} is no size; write height x width, for example 512x683", param, ctx)
        return int(height), int(width)


def keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Put an option among the settings, which the command takes as one."""
    ctx.ensure_object(dict)[param.name] = value


setting = partial(click.option, expose_value=False, callback=keep)
engines = setting(
    "--engine",
    "engines",
    type=Several(options.ENGINES),
    default="auto",
    show_default=True,
    help=f"Some of {', '.join(options.ENGINES)}.",
)
against = setting("--against", type=Several(BASELINES), default="", help=f"Baselines: {', '.join(BASELINES)}.")
image = setting("--image", type=options.FILE, help="The image.  [default: the bundled street photo]")
size = setting("--size", type=SizeType(), help="Bring the image to this size first.  [default: its own]")
threads = setting("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads.")
classes = setting("--classes", type=click.IntRange(1, 254), default=150, show_default=True, help="If untrained.")
repeats = setting("--repeats", type=click.IntRange(min=2), default=20, show_default=True, help="Counted rounds.")
