"""Which arithmetic `auto` is, and that a run keeps it."""

from dataclasses import replace

import pytest
from support.tiny import RECIPE, events, numbers

from cgrseg.config import Recipe
from cgrseg.errors import RunStopped
from cgrseg.recipes import read_recipe
from cgrseg.training import monitor as guards
from cgrseg.training import precision, train
from cgrseg.training.distributed import World
from cgrseg.training.loggers import Stepped, Warned
from cgrseg.training.precision import halves_are_faster, settle_precision
from cgrseg.weights import read_info

AUTO = replace(RECIPE, train=replace(RECIPE.train, precision="auto"))


class Pair(World):
    """One of two processes, of which the other is slow in bf16."""

    def any(self, flag: bool) -> bool:
        return True


def costs(monkeypatch, cost: float) -> None:
    """A processor that takes so many times as long in bf16."""
    for module in (precision, guards):
        monkeypatch.setattr(module, "cost_of", lambda precision: cost)


def settled(recipe: Recipe, world: World | None = None) -> str:
    return settle_precision(recipe, world or World(), begun=None).train.precision


@pytest.mark.parametrize(("cost", "chosen"), [(0.5, "bf16"), (0.9, "fp32"), (9.0, "fp32")])
def test_auto_is_bf16_where_that_is_clearly_faster(cost, chosen, monkeypatch):
    costs(monkeypatch, cost)

    assert settled(AUTO) == chosen


def test_auto_is_fp32_where_one_process_of_many_is_slow_in_bf16(monkeypatch):
    costs(monkeypatch, 0.5)

    assert settled(AUTO, Pair()) == "fp32"


def test_what_a_recipe_says_is_not_measured(monkeypatch):
    monkeypatch.setattr(precision, "cost_of", lambda precision: pytest.fail("measured"))

    assert settled(RECIPE) == "fp32"
    assert settled(replace(RECIPE, train=replace(RECIPE.train, precision="bf16"))) == "bf16"


def test_this_machine_has_an_answer():
    assert halves_are_faster("cpu") in (True, False)


@pytest.mark.slow
def test_a_run_writes_down_what_auto_was_and_keeps_it_on_another_machine(images, tmp_path, monkeypatch):
    costs(monkeypatch, 9.0)
    train(AUTO, images, tmp_path / "whole")
    with pytest.raises(RunStopped):
        train(AUTO, images, tmp_path / "run", watch=lambda event: isinstance(event, Stepped) and event.step == 1)
    costs(monkeypatch, 0.5)

    best = train(AUTO, images, tmp_path / "run", resume=True)

    assert read_recipe(tmp_path / "run/recipe.yaml").train.precision == "fp32"
    assert read_info(best).recipe.train.precision == "fp32"
    assert numbers(tmp_path / "run") == numbers(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_in_slow_arithmetic_says_so_before_its_first_step(images, tmp_path, monkeypatch):
    costs(monkeypatch, 9.0)
    slow = replace(RECIPE, train=replace(RECIPE.train, precision="bf16", steps=1, eval_every=1))
    seen = []

    train(slow, images, tmp_path / "run", watch=seen.append)

    kinds = [type(event) for event in seen]
    assert kinds.index(Warned) < kinds.index(Stepped)
    assert [event["event"] for event in events(tmp_path / "run")][:3] == ["started", "warned", "stepped"]
