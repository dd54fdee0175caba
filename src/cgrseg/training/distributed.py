"""BatchNorm over the images of all processes, on any device.

    x -- count, mean, variance of this process -- all processes' -- those of the whole batch -- fused BatchNorm
    gradient -- fused backward with these fixed, its two sums -- summed over processes -- what moved through them

PyTorch's SyncBatchNorm runs on CUDA only; this one runs wherever the processes can exchange tensors.

Axes: b batch, c channels, h rows, w columns.

The processes of a run: one, or many that torchrun started, which learn as one.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK -- joined() -- World -- sums, agreements, one process that writes

Every process runs the same loop. Alone, each collective gives back what it was given.
"""

import copy
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from cgrseg.errors import TrainingError
from cgrseg.runtime import require_device


def with_synchronised_norms(network: nn.Module) -> nn.Module:
    """The network with every BatchNorm synchronised; weights and statistics are the same tensors as before."""
    tensors = [*network.parameters(), *network.buffers()]
    shared = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    if any(tensor.is_cuda for tensor in tensors):
        return nn.SyncBatchNorm.convert_sync_batchnorm(shared)
    _synchronise(shared)
    return shared


def _synchronise(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            module.add_module(name, SynchronisedNorm(child))
        else:
            _synchronise(child)


class SynchronisedNorm(nn.Module):
    """A BatchNorm whose batch, in training, is that of all processes."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.momentum is not None, "a BatchNorm with a moving average"
        self.weight, self.bias, self.eps, self.momentum = norm.weight, norm.bias, norm.eps, norm.momentum
        for name, buffer in norm.named_buffers():
            self.register_buffer(name, buffer)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        running_mean, running_variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        if not self.training:
            return F.batch_norm(x, running_mean, running_variance, self.weight, self.bias, eps=self.eps)
        count, mean, variance = _over_processes(x.detach().float())
        with torch.no_grad():
            running_mean.lerp_(mean, self.momentum)
            running_variance.lerp_(variance * count / (count - 1), self.momentum)
            self.get_buffer("num_batches_tracked").add_(1)
        batch = _Batch(count, mean, variance, self.eps)
        return _Normalise.apply(x.float(), self.weight, self.bias, batch).to(x.dtype)  # type: ignore[union-attr]


class _Batch(NamedTuple):
    """What a norm takes from the images of all processes."""

    pixels: Float[Tensor, ""]
    mean: Float[Tensor, " c"]
    variance: Float[Tensor, " c"]
    eps: float


def _over_processes(x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, ""], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Values of a channel, their mean and biased variance over all processes; the same bits in each."""
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    own = torch.cat([mean.new_tensor([x.numel() // x.shape[1]]), mean, variance])
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    counts, means, variances = torch.stack(parts).split([1, len(mean), len(mean)], dim=1)
    shares = counts / counts.sum()
    mean = (shares * means).sum(0)
    return counts.sum(), mean, (shares * (variances + (means - mean).square())).sum(0)


class _Normalise(torch.autograd.Function):
    """A BatchNorm with the whole batch's statistics, through which gradients flow.

    With g the gradient times weight / deviation, z the normalised x, and means over the whole batch:
    the gradient of x is g - mean(g) - z mean(g z).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Float[Tensor, "b c h w"],
        weight: Float[Tensor, " c"],
        bias: Float[Tensor, " c"],
        of: _Batch,
    ) -> Float[Tensor, "b c h w"]:
        ctx.save_for_backward(x, weight, of.pixels, of.mean, of.variance)
        ctx.eps = of.eps  # type: ignore[attr-defined]
        return F.batch_norm(x, of.mean, of.variance, weight, bias, eps=of.eps)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, count, mean, variance = ctx.saved_tensors  # type: ignore[attr-defined]
        eps: float = ctx.eps  # type: ignore[attr-defined]
        fixed = (weight, mean, variance, None, None, False, eps, [True, True, True])
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(gradients[0], x, *fixed)
        sums = torch.stack([of_weight, of_bias])
        distributed.all_reduce(sums)
        inverse = torch.rsqrt(variance + eps)
        slope = weight * inverse.square() * sums[0] / count
        offset = weight * inverse * sums[1] / count - slope * mean
        of_x -= torch.addcmul(offset[:, None, None], x, slope[:, None, None])
        return of_x, of_weight, of_bias, None


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
        """The network whose gradients are averaged and whose BatchNorms see the images of all processes."""
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
        raise TrainingError(
            f"WORLD_SIZE is set but {', '.join(missing)} not",
            advice="start the processes with torchrun",
        )
    place = require_device(f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device)
    backend = "nccl" if place.type == "cuda" else "gloo"
    if place.type == "cuda":
        torch.cuda.set_device(place)
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), distributed.get_world_size(), place)
    finally:
        distributed.destroy_process_group()
