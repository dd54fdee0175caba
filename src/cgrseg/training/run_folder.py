"""The folder of a run: locked while a process trains in it, described by recipe.yaml and run.json.

recipe.yaml   every setting, resolved; damaged or missing, the newest checkpoint has it, too
run.json      each start and resumption: command, versions, commit, machine, number of processes
"""

import json
import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import yaml

from cgrseg.config import Recipe
from cgrseg.config.parsing import as_tree
from cgrseg.errors import RecipeError, TrainingError
from cgrseg.files import locked, remove_unfinished, replacing, write_json
from cgrseg.machine import machine
from cgrseg.recipes import read_recipe
from cgrseg.training.checkpoint import TrainState, has_checkpoint, identity_of, read_checkpoint
from cgrseg.training.distributed import Processes
from cgrseg.training.events import cut_events
from cgrseg.training.splits import Where

logger = logging.getLogger(__name__)

WEIGHTS = ("best.safetensors", "last.safetensors")
"""The weights that a run writes."""


@contextmanager
def alone_in(output: Path, processes: Processes) -> Iterator[None]:
    """Lock the run's folder, and remove what a killed process left unfinished in it."""
    if not processes.is_first:
        yield
        return
    with locked(output) as is_free:
        if not is_free:
            raise TrainingError(
                f"{output}: another process is training in this folder",
                advice="wait until it ends, or choose another output folder",
                setting="output",
            )
        for folder in (output, output / "states"):
            remove_unfinished(folder)
        yield


def require_no_run(output: Path) -> None:
    """Require an output folder without weights or checkpoints of a run.

    Raises:
        TrainingError: the folder already holds a run.
    """
    if any(path.exists() for path in map(output.joinpath, WEIGHTS)) or has_checkpoint(output / "states"):
        raise TrainingError(
            f"{output} already holds a run",
            advice="resume it, or choose another output folder",
            setting="resume",
        )


def require_resumable(output: Path) -> None:
    """Require a checkpoint in a folder that holds weights: a run from its first step would replace them.

    Raises:
        TrainingError: there is none.
    """
    weights = next((path for path in map(output.joinpath, WEIGHTS) if path.exists()), None)
    if weights is not None and not has_checkpoint(output / "states"):
        raise TrainingError(
            f"{output} holds {weights.name} but no checkpoint to resume from",
            advice="choose another output folder, to start anew or from these weights",
            setting="output",
        )


def recipe_to_resume(output: Path) -> Recipe | None:
    """The recipe of the run in a folder: of its recipe.yaml, or else of its newest intact checkpoint.

    Returns:
        None if the folder holds no run.

    Raises:
        RecipeError: recipe.yaml is damaged, and there is no checkpoint.
        TrainingError: recipe.yaml is missing or damaged, and so are all checkpoints.
    """
    file, states = output / "recipe.yaml", output / "states"
    problem = f"{file} is missing"
    if file.is_file():
        try:
            recipe = read_recipe(file)
            if _is_whole(file, recipe) or not has_checkpoint(states):
                return recipe
            problem = f"{file} is not whole"
        except RecipeError as error:
            if not has_checkpoint(states):
                raise
            problem = f"{file} is damaged ({error.problem})"
    if not has_checkpoint(states):
        return None
    recipe = identity_of(read_checkpoint(states)[1]).recipe
    logger.warning("%s; the run goes on with the recipe in its newest checkpoint", problem)
    return recipe


def _is_whole(file: Path, recipe: Recipe) -> bool:
    """Whether a recipe.yaml has every setting, as the one of a run does."""
    written, whole = yaml.safe_load(file.read_text(encoding="utf-8")) or {}, as_tree(recipe)
    return all(isinstance(written.get(key), type(value)) for key, value in whole.items()) and all(
        written[key].keys() >= value.keys() for key, value in whole.items() if isinstance(value, dict)
    )


def write_recipe(output: Path, recipe: Recipe, state: TrainState) -> None:
    """Write the resolved recipe and drop the events after the step that the run continues from."""
    output.mkdir(parents=True, exist_ok=True)
    cut_events(output, state.progress.step, state.progress.scored)
    with replacing(output / "recipe.yaml") as unfinished:
        unfinished.write_text(yaml.safe_dump(as_tree(recipe), sort_keys=False), encoding="utf-8")


def write_run_info(folder: Path, data: Where, init: str | Path | None, processes: Processes) -> None:
    """Append this start or resumption to `run.json`: command, versions, commit, machine, number of processes."""
    path = folder / "run.json"
    starts = _earlier_starts(path) if path.is_file() else []
    start = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),
        "data": str(data.resolve())
        if isinstance(data, Path)
        else {name: str(path.resolve()) for name, path in data.items()},
        "init": None if init is None else str(init),
        "device": str(processes.device),
        "processes": processes.world_size,
        "machine": asdict(machine()),
    }
    write_json(path, {"starts": [*starts, start]})


def _earlier_starts(path: Path) -> list[dict]:
    """The starts that a `run.json` lists; none, with a warning, if it was damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["starts"]
    except (ValueError, KeyError, TypeError):
        logger.warning("%s is damaged; earlier starts of this run are lost from it, and nothing else", path)
        return []
