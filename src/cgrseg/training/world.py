"""The processes of a run: one, or many that torchrun started, which learn as one.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK -- joined() -- World -- sums, agreements, one process that writes

Every process runs the same loop. Alone, each collective gives back what it was given.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cgrseg.errors import TrainingError
from cgrseg.runtime import require_device
from cgrseg.training.norms import with_synchronised_norms

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: the longest evaluation or save of one while the others wait."""


CPU = torch.device("cpu")


@dataclass(frozen=True)
class World:
    """This process among those of the run."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and tells what happens."""
        return self.rank == 0

    def sum(self, tensor: Shaped[Tensor, "*axes"]) -> Shaped[Tensor, "*axes"]:
        """The sum of a tensor over the processes; exact for whole numbers."""
        if self.size > 1:
            tensor = tensor.clone()
            distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all get the same answer."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def part(self, count: int) -> slice:
        """Which of a number of equal things are this process's."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def share(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are averaged and whose BatchNorms see the pictures of all processes."""
        if self.size == 1:
            return network
        ids = [self.device.index or 0] if self.device.type == "cuda" else None
        return DistributedDataParallel(with_synchronised_norms(network), device_ids=ids, broadcast_buffers=False)

    def without_exchange(self, network: nn.Module, *, when: bool) -> AbstractContextManager[None]:
        """A block whose gradients stay in this process and add up until the next block outside it."""
        module = getattr(network, "_orig_mod", network)
        is_shared = isinstance(module, DistributedDataParallel)
        return module.no_sync() if when and is_shared else nullcontext()  # type: ignore[return-value]


@contextmanager
def joined(device: str) -> Iterator[World]:
    """This process's place among those that torchrun started; alone if none did.

    Raises:
        TrainingError: torchrun's variables are there in part only.
    """
    if "WORLD_SIZE" not in os.environ:
        yield World(device=require_device(device))
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise TrainingError(f"WORLD_SIZE is set but {', '.join(missing)} not; start the processes with torchrun")
    place = require_device(f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device)
    backend = "nccl" if place.type == "cuda" else "gloo"
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), place)
    finally:
        distributed.destroy_process_group()
