"""What a run needs to go on, kept so that no crash, full disk or flipped bit costs more than the steps since.

    TrainState -- states/00001500-00001000-<digest>.pt -- older states go, all but the newest whole ones

The name of a file holds the steps done, the step of the last evaluation and the SHA-256 of the content, so a file is
found to be whole or not by its name alone, and the newest whole one is where a run goes on.

Whether a run that goes on is the run that was: same recipe, same images.

recipe, fingerprints of the training images -- Identity -- in every state -- compared at resumption
"""

import errno
import hashlib
import logging
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from cgrseg.config import Recipe
from cgrseg.config.parsing import as_tree
from cgrseg.errors import TrainingError, reason
from cgrseg.files import replacing
from cgrseg.recipes import parse_recipe
from cgrseg.training.optim import MovingAverage

DIGITS = 32
"""Hexadecimal digits of the SHA-256 in a name."""
KEPT = 2
"""Whole states that stay, each of another step."""
SPARE = 1.5
"""A disk is nearly full with less room than this many states."""
ROOM = 2**20
"""Bytes without which a disk counts as full."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a system says of a disk, a quota or a file that can take no more."""

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a run is, in plain numbers."""

    step: int = 0
    """Optimizer steps done."""
    best: float = -1.0
    """Best mIoU so far, 0..1; -1 before the first evaluation."""
    scored: int = 0
    """The step of the last evaluation."""
    stale: int = 0
    """Evaluations since the best."""
    skipped: int = 0
    """Steps in a row that changed nothing."""


@dataclass
class TrainState:
    """A run after some optimizer steps."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    scaler: torch.amp.GradScaler
    progress: Progress = field(default_factory=Progress)

    @property
    def evaluated(self) -> nn.Module:
        """The network that is scored and saved: the average where there is one."""
        return self.average.model if self.average else self.model

    def as_tree(self) -> dict:
        """Tensors and numbers that `restore` takes back."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
        }

    def restore(self, tree: dict) -> None:
        """Bring a state of the same recipe to where a tree left it."""
        self.model.load_state_dict(tree["model"])
        self.optimizer.load_state_dict(tree["optimizer"])
        if self.average:
            self.average.model.load_state_dict(tree["average"])
        self.scaler.load_state_dict(tree["scaler"])
        self.progress = Progress(**tree["progress"])


def save_state(folder: Path, state: TrainState, about: dict) -> None:
    """Write the state into a folder, then remove the older ones but `KEPT`.

    Args:
        folder: of the run's states.
        state: of the run.
        about: plain values that say what run it is, which `read_state` gives back.

    Raises:
        TrainingError: the disk is full or cannot be written; the states that were there still are.
    """
    steps = f"{state.progress.step:08d}-{state.progress.scored:08d}"
    path = folder / f"{steps}.pt"

    def named(written: Path) -> str:
        nonlocal path
        path = folder / f"{steps}-{_digest(written)}.pt"
        return path.name

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path, named) as unfinished:
            torch.save(state.as_tree() | {"about": about}, unfinished)
    except (OSError, RuntimeError) as error:  # PyTorch's writer raises RuntimeError where the disk is full
        raise TrainingError(
            f"{folder}: the state after step {state.progress.step} cannot be written: "
            f"{_problem(error, folder)}; what was saved before is whole",
            advice="make room, then resume the run",
            setting="resume",
        ) from None
    _remove_old(folder, path)


def _problem(error: OSError | RuntimeError, folder: Path) -> str:
    is_full = isinstance(error, OSError) and error.errno in FULL
    return "the disk is full" if is_full or shutil.disk_usage(folder).free < ROOM else reason(error)


def has_state(folder: Path) -> bool:
    """Whether a folder holds a state, whole or not."""
    return bool(_by_age(folder))


def read_state(folder: Path) -> tuple[dict, dict]:
    """The newest whole state of a folder, as `TrainState.restore` takes it, and what it says about its run.

    Raises:
        TrainingError: none is whole.
    """
    states = _by_age(folder)
    for path in states:
        if is_whole(path):
            tree = torch.load(path, map_location="cpu", weights_only=True)
            return tree, tree["about"]
        logger.warning("%s is damaged: its content is not what was written; an older state is taken", path)
    names = ", ".join(path.name for path in states)
    raise TrainingError(
        f"{folder} holds no state that is whole: {names} are damaged",
        advice="start anew in another folder",
    )


def is_whole(path: Path) -> bool:
    """Whether the content of a state is what was written."""
    return path.stem.rpartition("-")[2] == _digest(path)


def is_short_of_room(folder: Path) -> bool:
    """Whether the next state may not fit on the disk."""
    newest = max((path.stat().st_size for path in _by_age(folder)), default=0)
    return shutil.disk_usage(folder).free < SPARE * newest


def _remove_old(folder: Path, newest: Path) -> None:
    """Leave one whole state of each of the last steps; those after the newest, just written, were found damaged."""
    kept = [newest]
    for path in _by_age(folder):
        is_older = _steps(path)[0] < _steps(kept[-1])[0]
        if is_older and len(kept) < KEPT and is_whole(path):
            kept.append(path)
        elif path != newest:
            path.unlink()


def _by_age(folder: Path) -> list[Path]:
    """The states of a folder, the newest first."""
    return sorted(folder.glob("[0-9]*-[0-9]*-*.pt"), key=_steps, reverse=True)


def _steps(path: Path) -> tuple[int, int]:
    """The steps of a state, and those that were evaluated: a stop in an evaluation leaves a state without its score."""
    step, scored, _ = path.stem.split("-")
    return int(step), int(scored)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]


SHOWN = 4
"""Settings that a refusal names."""


@dataclass(frozen=True)
class Identity:
    """What decides every number of a run but its start."""

    recipe: Recipe
    images: tuple[str, ...]
    """Fingerprints of the training images, in order."""

    def as_tree(self) -> dict:
        """Plain values, for the state."""
        return {"recipe": as_tree(self.recipe), "pictures": list(self.images)}


def identity_of(tree: dict) -> Identity:
    """What a state says of its run."""
    return Identity(parse_recipe(tree["recipe"], "the state's recipe"), tuple(tree["pictures"]))


def require_same_run(now: Identity, then: Identity) -> None:
    """Refuse to go on with other settings or images; workers and memory layout change no sample and may differ.

    Raises:
        TrainingError: something differs; the message says what.
    """
    advice = "accept the changes and go on, or start anew in another output folder"
    changes = [f"{name} was {before}, is {after}" for name, before, after in _differences(then.recipe, now.recipe)]
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise TrainingError(
            f"the recipe is not the one of this run: {', '.join(changes[:SHOWN])}{more}", advice, "accept_changes"
        )
    if now.images != then.images:
        fresh, gone = len(set(now.images) - set(then.images)), len(set(then.images) - set(now.images))
        change = f"{fresh} new, {gone} gone" if fresh or gone else "their order differs"
        raise TrainingError(f"the training images are not those of this run: {change}", advice, "accept_changes")


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
