"""Whether a run that goes on is the run that was: same recipe, same pictures.

recipe, fingerprints of the training pictures -- Identity -- in every state -- compared at resumption
"""

from dataclasses import dataclass, replace

from cgrseg.config import Recipe
from cgrseg.errors import TrainingError
from cgrseg.recipes import as_tree, parse_recipe

SHOWN = 4
"""Settings that a refusal names."""


@dataclass(frozen=True)
class Identity:
    """What decides every number of a run but its start."""

    recipe: Recipe
    pictures: tuple[str, ...]
    """Fingerprints of the training pictures, in order."""

    def as_tree(self) -> dict:
        """Plain values, for the state."""
        return {"recipe": as_tree(self.recipe), "pictures": list(self.pictures)}


def identity_of(tree: dict) -> Identity:
    """What a state says of its run."""
    return Identity(parse_recipe(tree["recipe"], "the state's recipe"), tuple(tree["pictures"]))


def require_same_run(now: Identity, then: Identity) -> None:
    """Refuse to go on with other settings or pictures; workers and memory layout change no sample and may differ.

    Raises:
        TrainingError: something differs; the message says what.
    """
    told = "; go on nevertheless with --accept-changes, or start anew in another folder with -o"
    changes = [f"{name} was {before}, is {after}" for name, before, after in _differences(then.recipe, now.recipe)]
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise TrainingError(f"the recipe is not the one of this run: {', '.join(changes[:SHOWN])}{more}{told}")
    if now.pictures != then.pictures:
        fresh, gone = len(set(now.pictures) - set(then.pictures)), len(set(then.pictures) - set(now.pictures))
        change = f"{fresh} new, {gone} gone" if fresh or gone else "their order differs"
        raise TrainingError(f"the training pictures are not those of this run: {change}{told}")


def _differences(then: Recipe, now: Recipe) -> list[tuple[str, object, object]]:
    before, after = (as_tree(_without_indifferent(recipe)) for recipe in (then, now))
    return [
        (f"{section}.{key}", before[section].get(key), after[section].get(key))
        for section in after
        for key in dict.fromkeys((*before[section], *after[section]))
        if before[section].get(key) != after[section].get(key)
    ]


def _without_indifferent(recipe: Recipe) -> Recipe:
    return replace(recipe, data=replace(recipe.data, workers=0), train=replace(recipe.train, save_every=None))
