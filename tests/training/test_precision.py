"""The precision that `auto` resolves to, and that a run keeps it."""

from dataclasses import replace

import pytest
from support.tiny import RECIPE, events, numbers

from cgrseg.config import Recipe
from cgrseg.errors import RunStopped
from cgrseg.recipes import read_recipe
from cgrseg.training import monitor, precision, train
from cgrseg.training.distributed import Processes
from cgrseg.training.events import Stepped, Warned
from cgrseg.training.precision import bf16_is_faster, resolve_precision
from cgrseg.weights import read_info

AUTO = replace(RECIPE, train=replace(RECIPE.train, precision="auto"))


class SlowPair(Processes):
    """One of two processes, of which the other is slow in bf16."""

    def any(self, flag: bool) -> bool:
        return True


def costs(monkeypatch, cost: float) -> None:
    """Fake the time of bf16 on the processor, as a multiple of fp32."""
    for module in (precision, monitor):
        monkeypatch.setattr(module, "relative_cost", lambda precision: cost)


def resolved(recipe: Recipe, processes: Processes | None = None) -> str:
    return resolve_precision(recipe, processes or Processes(), resume_from=None).train.precision


@pytest.mark.parametrize(("cost", "chosen"), [(0.5, "bf16"), (0.9, "fp32"), (9.0, "fp32")])
def test_auto_is_bf16_where_that_is_clearly_faster(cost, chosen, monkeypatch):
    costs(monkeypatch, cost)

    assert resolved(AUTO) == chosen


def test_auto_is_fp32_where_one_process_of_many_is_slow_in_bf16(monkeypatch):
    costs(monkeypatch, 0.5)

    assert resolved(AUTO, SlowPair()) == "fp32"


def test_a_precision_set_in_the_recipe_is_not_measured(monkeypatch):
    monkeypatch.setattr(precision, "relative_cost", lambda precision: pytest.fail("measured"))

    assert resolved(RECIPE) == "fp32"
    assert resolved(replace(RECIPE, train=replace(RECIPE.train, precision="bf16"))) == "bf16"


def test_bf16_can_be_measured_on_this_machine():
    assert bf16_is_faster("cpu") in (True, False)


@pytest.mark.slow
def test_a_run_records_what_auto_resolved_to_and_keeps_it_on_another_machine(images, tmp_path, monkeypatch):
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
def test_a_run_in_a_slow_precision_warns_before_its_first_step(images, tmp_path, monkeypatch):
    costs(monkeypatch, 9.0)
    slow = replace(RECIPE, train=replace(RECIPE.train, precision="bf16", steps=1, eval_every=1))
    seen = []

    train(slow, images, tmp_path / "run", watch=seen.append)

    kinds = [type(event) for event in seen]
    assert kinds.index(Warned) < kinds.index(Stepped)
    assert [event["event"] for event in events(tmp_path / "run")][:3] == ["started", "warned", "stepped"]
