"""A training run in its own process, which a test can have killed at a given moment; alone or under torchrun.

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
from cgrseg.training import checkpoint, train
from cgrseg.training.events import Stepped

PHASES = ("before", "during", "before fsync", "before rename", "after rename")


class Killer:
    """Kills this process in a given phase of a given save."""

    def __init__(self, phase: str, save: int) -> None:
        self.phase, self.save, self.saves = phase, save, 0

    def reach(self, phase: str) -> None:
        if (phase, self.saves) == (self.phase, self.save):
            os.kill(os.getpid(), signal.SIGKILL)


def die_at(phase: str, save: int) -> None:
    """Patch the functions that a save goes through so that they kill the process."""
    killer, write, sync, rename, remove = (
        Killer(phase, save),
        torch.save,
        os.fsync,
        Path.replace,
        checkpoint._remove_old,
    )

    def written(tree: dict, path: Path) -> None:
        killer.saves += 1
        killer.reach("before")
        content = io.BytesIO()
        write(tree, content)
        path.write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
        killer.reach("during")
        path.write_bytes(content.getvalue())

    def synced(descriptor: int) -> None:
        killer.reach("before fsync")
        sync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        killer.reach("before rename")
        return rename(path, target)

    def removed(*arguments: object) -> None:
        killer.reach("after rename")
        remove(*arguments)

    torch.save, os.fsync, Path.replace, checkpoint._remove_old = written, synced, renamed, removed


def build_frozen(config: ModelConfig) -> CGRSeg:
    """A network whose BatchNorms all use their stored statistics, so that the parts of a batch add up."""
    network = build_model(config)
    freeze_batch_norm(network)
    return network


def main() -> None:
    torch.set_num_threads(1)
    data, output, options = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    if "die" in options:
        die_at(*options["die"])
    if options.get("plain"):
        torch.nn.Dropout2d.forward = lambda self, x: x  # type: ignore[method-assign]
    if options.get("frozen"):
        sys.modules[train.__module__].build_model = build_frozen
    rank = int(os.environ.get("RANK", "0"))

    def watch(event: object) -> bool:
        step = getattr(event, "step", None)
        if isinstance(event, Stepped) and options.get("fail") == [rank, step]:
            raise ZeroDivisionError("planted")
        return isinstance(event, Stepped) and options.get("stop") == step

    with suppress(RunStopped):
        train(parse_recipe(options["recipe"], "recipe"), data, output, resume=options.get("resume", False), watch=watch)


if __name__ == "__main__":
    main()
