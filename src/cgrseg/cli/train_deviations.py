"""`cgrseg train --deviations`: where a recipe differs from what was published."""

from pathlib import Path

import click
from click.core import ParameterSource

from cgrseg.cli import options

ASKED = "cgrseg.advisor.deviations"
"""Where the context keeps that --deviations was given."""


def _keep(context: click.Context, parameter: click.Parameter, asked: bool) -> None:  # noqa: ARG001
    """Keep the flag, and give --data, which is not read then, a value that lets the command line pass."""
    context.meta[ASKED] = asked
    if asked:
        context.default_map = {"data": ["folder=."]}


option = click.option(
    "--deviations",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_keep,
    help="Print where RECIPE and this code differ from what was published, and stop; needs no --data.",
)


def print_deviations(recipe: Path | None, overrides: tuple[str, ...], data: options.DataPaths) -> None:
    """Compare and print."""
    from cgrseg.advisor.deviations import compare_with_published
    from cgrseg.recipes import read_recipe

    if recipe is None:
        raise click.UsageError("--deviations compares a RECIPE; name one, such as recipes/cgrseg-t-ade20k.yaml")
    settings = read_recipe(recipe, overrides)
    if not settings.sources:
        settings = read_recipe(recipe, (*overrides, *_of_data(data)))
    comparison = compare_with_published(settings)
    click.echo(f"Compared with {comparison.source}.")
    for title, found in (("Settings", comparison.settings), ("Whatever the settings", comparison.always)):
        click.echo(f"\n{title}:" if found else f"\n{title}: no difference.")
        for deviation in found:
            click.echo(click.wrap_text(str(deviation), 100, initial_indent="  ", subsequent_indent="    "))


def _of_data(data: options.DataPaths) -> list[str]:
    """The settings that --data and --merge stand for."""
    is_given = click.get_current_context().get_parameter_source("data") is ParameterSource.COMMANDLINE
    kind, *merge = data.single().overrides()
    return [kind, *merge] if is_given else merge
