"""A run in a process of its own, which a test may have killed at a chosen moment; alone or started by torchrun.

python child.py DATA OUTPUT '{"recipe": {...}, "die": ["during", 2], "resume": true, "plain": true}'
"""

import io
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import torch

from cgrseg.config import ModelConfig
from cgrseg.errors import RunStopped
from cgrseg.model import CGRSeg, build_model
from cgrseg.model.layers import freeze_batch_norm
from cgrseg.recipes import parse_recipe
from cgrseg.training import checkpoint as state
from cgrseg.training import train
from cgrseg.training.loggers import Stepped

PHASES = ("before", "during", "before fsync", "before rename", "after rename")


class Death:
    """Kills this process in a phase of one of its saves."""

    def __init__(self, phase: str, save: int) -> None:
        self.phase, self.save, self.saves = phase, save, 0

    def come(self, phase: str) -> None:
        if (phase, self.saves) == (self.phase, self.save):
            os.kill(os.getpid(), signal.SIGKILL)


def die_at(phase: str, save: int) -> None:
    """Put death into the functions that a save goes through."""
    death, write, sync, rename, remove = Death(phase, save), torch.save, os.fsync, Path.replace, state._remove_old

    def written(tree: dict, path: Path) -> None:
        death.saves += 1
        death.come("before")
        content = io.BytesIO()
        write(tree, content)
        path.write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
        death.come("during")
        path.write_bytes(content.getvalue())

    def synced(descriptor: int) -> None:
        death.come("before fsync")
        sync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        death.come("before rename")
        return rename(path, target)

    def removed(*arguments: object) -> None:
        death.come("after rename")
        remove(*arguments)

    torch.save, os.fsync, Path.replace, state._remove_old = written, synced, renamed, removed


def build_frozen(config: ModelConfig) -> CGRSeg:
    """A network whose every BatchNorm uses stored statistics, so that the parts of a batch add up."""
    network = build_model(config)
    freeze_batch_norm(network)
    return network


def main() -> None:
    torch.set_num_threads(1)
    data, output, asked = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    if "die" in asked:
        die_at(*asked["die"])
    if asked.get("plain"):
        torch.nn.Dropout2d.forward = lambda self, x: x  # type: ignore[method-assign]
    if asked.get("frozen"):
        sys.modules[train.__module__].build_model = build_frozen
    rank = int(os.environ.get("RANK", "0"))

    def watch(event: object) -> bool:
        step = getattr(event, "step", None)
        if isinstance(event, Stepped) and asked.get("fail") == [rank, step]:
            raise ZeroDivisionError("planted")
        return isinstance(event, Stepped) and asked.get("stop") == step

    with suppress(RunStopped):
        train(parse_recipe(asked["recipe"], "recipe"), data, output, resume=asked.get("resume", False), watch=watch)


if __name__ == "__main__":
    main()
