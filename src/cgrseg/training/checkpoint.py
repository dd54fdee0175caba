"""Checkpoints of a run: written atomically, verified by digest, the newest intact one resumes the run bit for bit.

    TrainState, Identity -- states/00001500-00001000-<digest>.pt -- newest intact one -- same run? -- TrainState

A file's name holds the steps done, the step of the last evaluation and the SHA-256 of its content, so its name alone
shows whether it is intact. The identity of a run is its recipe and the fingerprints of its training images.
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
"""Hexadecimal digits of the SHA-256 in a file name."""
KEPT = 2
"""Intact checkpoints to keep, each of a different step."""
NEARLY_FULL = 1.5
"""A disk with less free space than this many checkpoints is nearly full."""
MIN_FREE_BYTES = 2**20
"""A disk with less free space is full."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, an exhausted quota and the largest file size."""

SHOWN = 4
"""Changed settings that an error names."""

logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Counters of a run."""

    step: int = 0
    """Optimizer steps done."""
    best: float = -1.0
    """Best mIoU so far, 0..1; -1 before the first evaluation."""
    scored: int = 0
    """The step of the last evaluation."""
    stale: int = 0
    """Evaluations since the best one."""
    skipped: int = 0
    """Consecutive steps that were skipped."""


@dataclass
class TrainState:
    """Everything that training changes: network, optimizer, moving average, gradient scaler, counters."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    scaler: torch.amp.GradScaler
    progress: Progress = field(default_factory=Progress)

    @property
    def evaluated(self) -> nn.Module:
        """The network to evaluate and to save: the moving average if the run keeps one."""
        return self.average.model if self.average else self.model

    def as_tree(self) -> dict:
        """Tensors and numbers for `restore`."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
        }

    def restore(self, tree: dict) -> None:
        """Load a tree made by `as_tree` of a state with the same recipe."""
        self.model.load_state_dict(tree["model"])
        self.optimizer.load_state_dict(tree["optimizer"])
        if self.average:
            self.average.model.load_state_dict(tree["average"])
        self.scaler.load_state_dict(tree["scaler"])
        self.progress = Progress(**tree["progress"])


def save_checkpoint(folder: Path, state: TrainState, identity: dict) -> None:
    """Write a checkpoint, then remove all but the newest `KEPT`.

    Args:
        folder: of the run's checkpoints.
        state: to save.
        identity: `Identity.as_tree()` of the run; `read_checkpoint` returns it.

    Raises:
        TrainingError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    steps = f"{state.progress.step:08d}-{state.progress.scored:08d}"
    path = folder / f"{steps}.pt"

    def name_by_digest(written: Path) -> str:
        nonlocal path
        path = folder / f"{steps}-{_digest(written)}.pt"
        return path.name

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path, name_by_digest) as unfinished:
            torch.save(state.as_tree() | {"about": identity}, unfinished)
    except (OSError, RuntimeError) as error:  # PyTorch's writer raises RuntimeError if the disk is full
        raise TrainingError(
            f"{folder}: the checkpoint of step {state.progress.step} could not be written: "
            f"{_problem(error, folder)}; earlier checkpoints are intact",
            advice="free some space, then resume the run",
            setting="resume",
        ) from None
    _remove_old(folder, path)


def _problem(error: OSError | RuntimeError, folder: Path) -> str:
    is_full = isinstance(error, OSError) and error.errno in FULL
    if is_full or shutil.disk_usage(folder).free < MIN_FREE_BYTES:
        return "the disk is full"
    is_cut = isinstance(error, RuntimeError)
    return (
        "PyTorch could not write all of it, as on a full disk or at a limit of file sizes" if is_cut else reason(error)
    )


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint, intact or damaged."""
    return bool(_newest_first(folder))


def read_checkpoint(folder: Path) -> tuple[dict, dict]:
    """The newest intact checkpoint of a folder: a tree for `TrainState.restore`, and one for `identity_of`.

    Raises:
        TrainingError: all checkpoints are damaged.
    """
    paths = _newest_first(folder)
    for path in paths:
        if is_intact(path):
            tree = torch.load(path, map_location="cpu", weights_only=True)
            return tree, tree["about"]
        logger.warning(
            "%s is damaged: its content does not match the digest in its name; an older checkpoint is used", path
        )
    names = ", ".join(path.name for path in paths)
    raise TrainingError(
        f"{folder} holds no intact checkpoint: {names} are damaged",
        advice="start a new run in another folder",
    )


def is_intact(path: Path) -> bool:
    """Whether the content of a checkpoint matches the digest in its name."""
    return path.stem.rpartition("-")[2] == _digest(path)


def is_disk_nearly_full(folder: Path) -> bool:
    """Whether the next checkpoint may not fit on the disk."""
    newest = max((path.stat().st_size for path in _newest_first(folder)), default=0)
    return shutil.disk_usage(folder).free < NEARLY_FULL * newest


def _remove_old(folder: Path, newest: Path) -> None:
    """Keep one intact checkpoint of each of the last steps; any later than `newest`, just written, is damaged."""
    kept = [newest]
    for path in _newest_first(folder):
        is_older = _steps(path)[0] < _steps(kept[-1])[0]
        if is_older and len(kept) < KEPT and is_intact(path):
            kept.append(path)
        elif path != newest:
            path.unlink()


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints of a folder, newest first."""
    return sorted(folder.glob("[0-9]*-[0-9]*-*.pt"), key=_steps, reverse=True)


def _steps(path: Path) -> tuple[int, int]:
    """The step of a checkpoint and the last evaluated one, which is earlier if the run stopped in an evaluation."""
    step, scored, _ = path.stem.split("-")
    return int(step), int(scored)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]


@dataclass(frozen=True)
class Identity:
    """Everything that determines the results of a run, apart from its initial weights."""

    recipe: Recipe
    images: tuple[str, ...]
    """Fingerprints of the training images, in order."""

    def as_tree(self) -> dict:
        """Plain values for a checkpoint."""
        return {"recipe": as_tree(self.recipe), "pictures": list(self.images)}


def identity_of(tree: dict) -> Identity:
    """The identity stored in a checkpoint."""
    return Identity(parse_recipe(tree["recipe"], "the checkpoint's recipe"), tuple(tree["pictures"]))


def require_same_run(current: Identity, saved: Identity) -> None:
    """Require the recipe and the training images of a resumed run; `data.workers` and `train.save_every` may differ.

    Raises:
        TrainingError: settings or images differ; the message names the differences.
    """
    advice = "accept the changes, or start a new run in another output folder"
    changes = [f"{name} was {before}, is {after}" for name, before, after in _differences(saved.recipe, current.recipe)]
    if changes:
        more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise TrainingError(
            f"the recipe is not that of this run: {', '.join(changes[:SHOWN])}{more}", advice, "accept_changes"
        )
    if current.images != saved.images:
        added, removed = len(set(current.images) - set(saved.images)), len(set(saved.images) - set(current.images))
        change = f"{added} added, {removed} removed" if added or removed else "their order differs"
        raise TrainingError(f"the training images are not those of this run: {change}", advice, "accept_changes")


def _differences(saved: Recipe, current: Recipe) -> list[tuple[str, object, object]]:
    before, after = (as_tree(_without_indifferent(recipe)) for recipe in (saved, current))
    return [
        (f"{section}.{key}", before[section].get(key), after[section].get(key))
        for section in after
        for key in dict.fromkeys((*before[section], *after[section]))
        if before[section].get(key) != after[section].get(key)
    ]


def _without_indifferent(recipe: Recipe) -> Recipe:
    return replace(recipe, data=replace(recipe.data, workers=0), train=replace(recipe.train, save_every=None))
