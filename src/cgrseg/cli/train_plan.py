"""The settings of a training run: of a recipe, of the run to resume, or made from the data; and `--deviations`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from cgrseg.cli import options
from cgrseg.cli.progress import bar_of

if TYPE_CHECKING:
    from cgrseg import Recipe
    from cgrseg.advisor.plan import Plan


WIDTH = 110


def settle(
    recipe: Path | None,
    folder: Path,
    data: options.DataPaths,
    overrides: tuple[str, ...],
    *,
    init: str | None,
    resume: bool,
    device: str,
) -> "Recipe":
    """The settings of the run to start or resume."""
    import cgrseg
    from cgrseg.config.parsing import as_tree
    from cgrseg.recipes import parse_recipe
    from cgrseg.training.run_folder import recipe_to_resume, require_no_run

    if not resume:
        require_no_run(folder)  # before the data is looked at, which takes a while
    if recipe is not None:
        given = cgrseg.read_recipe(recipe, overrides)
        return given if given.sources else cgrseg.read_recipe(recipe, (*overrides, *data.single().overrides()))
    resumed = recipe_to_resume(folder) if resume else None
    if resumed is None:
        return planned(data, overrides, init, device)
    changes = overrides if resumed.sources else (*overrides, *data.single().overrides())
    return parse_recipe(as_tree(resumed), "recipe.yaml", changes)


def planned(data: options.DataPaths, overrides: tuple[str, ...], init: str | None, device: str) -> "Recipe":
    """Settings made from the data; the plan is printed on stderr."""
    from cgrseg.advisor import plan, plan_sources

    with bar_of("images looked at") as show:
        if len(data.given) > 1:
            made = plan_sources(data.kinds(), init=init, overrides=overrides, device=device, on_progress=show)
        else:
            one = data.single()
            changes = (*overrides, *one.overrides())
            made = plan(one.kind, one.path, init=init, overrides=changes, device=device, on_progress=show)
    for line in lines(made, ", ".join(str(path) for _, path in data.given)):
        click.echo(line, err=True)
    return made.recipe


def lines(made: "Plan", where: str) -> list[str]:
    """The plan: what was chosen, and why."""
    classes = made.facts.classes
    total = made.facts.learnt + made.facts.scored
    result = [f"plan for {where}: {total:,} images, {len(classes)} classes; --set changes any of it"]
    for choice in made.choices:
        settings = ", ".join(f"{name} {_shown(value)}" for name, value in choice.settings.items() if _tells(name))
        text = f"{settings}: {choice}" if settings else str(choice)
        result.append(click.wrap_text(text, WIDTH, initial_indent="  ", subsequent_indent="      "))
    return result


def _tells(name: str) -> bool:
    """Whether a setting makes sense without its description."""
    return name not in ("data.hold_out", "train.groups") and (name == "model.size" or not name.startswith("model."))


def _shown(value: object) -> str:
    """A value as --set takes it."""
    if isinstance(value, tuple):
        return f"[{','.join(_shown(item) for item in value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


ASKED = "cgrseg.advisor.deviations"
"""Where the context keeps that --deviations was given."""


def _keep(context: click.Context, parameter: click.Parameter, asked: bool) -> None:  # noqa: ARG001
    """Keep the flag, and give --data, which is not read then, a value that lets the command line pass."""
    context.meta[ASKED] = asked
    if asked:
        context.default_map = {"data": ["folder=."]}


deviations_option = click.option(
    "--deviations",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_keep,
    help="Print where RECIPE and this code differ from what was published, and stop; needs no --data.",
)


def deviations_asked() -> bool:
    """Whether the command line has --deviations."""
    return click.get_current_context().meta[ASKED]


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
