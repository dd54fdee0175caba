"""What a run's folder says of how it was made: `run.json`, beside the resolved recipe."""

import json
import shlex
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from cgrseg.files import replacing
from cgrseg.machine import machine
from cgrseg.training.distributed import World
from cgrseg.training.splits import Where


def write_about(folder: Path, data: Where, init: str | Path | None, world: World) -> None:
    """Add this start, or resumption, to `run.json`: command, versions, commit, machine, processes."""
    path = folder / "run.json"
    starts = json.loads(path.read_text(encoding="utf-8"))["starts"] if path.is_file() else []
    start = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),
        "data": str(data.resolve())
        if isinstance(data, Path)
        else {name: str(path.resolve()) for name, path in data.items()},
        "init": None if init is None else str(init),
        "device": str(world.device),
        "processes": world.size,
        "machine": asdict(machine()),
    }
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps({"starts": [*starts, start]}, indent=2) + "\n", encoding="utf-8")
