"""Distributed training: the processes of a run, and BatchNorm synchronised over them on any device.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK -- join_processes() -- Processes: all-reduce, barrier, shards, DDP

Every process runs the same loop. In a run of one process each collective returns its input.

BatchNorm over the images of all processes; PyTorch's SyncBatchNorm runs on CUDA only, this one also on a CPU:

    x -- count, mean, variance of this process -- gathered -- those of the whole batch -- fused BatchNorm
    gradient -- fused backward with the statistics fixed, its two sums -- all-reduced -- the statistics' own gradient

Axes: b batch, c channels, h rows, w columns.
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

CPU = torch.device("cpu")
TIMEOUT = timedelta(minutes=30)
"""Time a collective may take; covers the longest evaluation or save of one process while the others wait."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run, seen from one of them."""

    rank: int = 0
    world_size: int = 1
    device: torch.device = CPU
    """The device of this process."""

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, the process that writes files and reports events."""
        return self.rank == 0

    def all_reduce(self, tensor: Shaped[Tensor, "*axes"]) -> Shaped[Tensor, "*axes"]:
        """The sum of a tensor over all processes; exact for integers."""
        if self.world_size > 1:
            tensor = tensor.clone()
            distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; the same in all of them."""
        return bool(self.all_reduce(torch.tensor(float(flag), device=self.device)) > 0)

    def shard(self, count: int) -> slice:
        """The slice of `count` items that belongs to this process."""
        return slice(self.rank * count // self.world_size, (self.rank + 1) * count // self.world_size)

    def barrier(self) -> None:
        """Wait until all processes get here."""
        if self.world_size > 1:
            distributed.barrier()

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network in DistributedDataParallel, with synchronised BatchNorm; unchanged in a run of one process."""
        if self.world_size == 1:
            return network
        ids = [self.device.index or 0] if self.device.type == "cuda" else None
        return DistributedDataParallel(convert_sync_batchnorm(network), device_ids=ids, broadcast_buffers=False)

    def no_sync(self, network: nn.Module, *, when: bool) -> AbstractContextManager[None]:
        """DDP's `no_sync` if `when`: gradients accumulate in this process until the next backward pass without it."""
        module = getattr(network, "_orig_mod", network)
        is_wrapped = isinstance(module, DistributedDataParallel)
        return module.no_sync() if when and is_wrapped else nullcontext()  # type: ignore[return-value]


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started; a run of one process where torchrun did not start it.

    Args:
        device: `cpu`, `cuda` or `cuda:1`; with torchrun, `cuda` means the GPU of the local rank.

    Raises:
        TrainingError: some of torchrun's environment variables are missing.
        CGRSegError: the device is not available.
    """
    if "WORLD_SIZE" not in os.environ:
        yield Processes(device=require_device(device))
        return
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise TrainingError(
            f"WORLD_SIZE is set but not {', '.join(missing)}",
            advice="start the processes with torchrun",
        )
    own_device = require_device(f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device)
    backend = "nccl" if own_device.type == "cuda" else "gloo"
    if own_device.type == "cuda":
        torch.cuda.set_device(own_device)
    distributed.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield Processes(distributed.get_rank(), distributed.get_world_size(), own_device)
    finally:
        distributed.destroy_process_group()


def convert_sync_batchnorm(network: nn.Module) -> nn.Module:
    """A copy of the network with every BatchNorm synchronised; it shares the original's parameters and buffers."""
    tensors = [*network.parameters(), *network.buffers()]
    synchronised = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    if any(tensor.is_cuda for tensor in tensors):
        return nn.SyncBatchNorm.convert_sync_batchnorm(synchronised)
    _replace_batchnorm(synchronised)
    return synchronised


def _replace_batchnorm(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            module.add_module(name, SyncBatchNorm(child))
        else:
            _replace_batchnorm(child)


class SyncBatchNorm(nn.Module):
    """A BatchNorm that normalises over the images of all processes in training."""

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
        count, mean, variance = _gather_statistics(x.detach().float())
        with torch.no_grad():
            running_mean.lerp_(mean, self.momentum)
            running_variance.lerp_(variance * count / (count - 1), self.momentum)
            self.get_buffer("num_batches_tracked").add_(1)
        batch = _BatchStatistics(count, mean, variance, self.eps)
        return _Normalise.apply(x.float(), self.weight, self.bias, batch).to(x.dtype)  # type: ignore[union-attr]


class _BatchStatistics(NamedTuple):
    """The statistics of one batch over all processes."""

    pixels: Float[Tensor, ""]
    mean: Float[Tensor, " c"]
    variance: Float[Tensor, " c"]
    eps: float


def _gather_statistics(
    x: Float[Tensor, "b c h w"],
) -> tuple[Float[Tensor, ""], Float[Tensor, " c"], Float[Tensor, " c"]]:
    """Number of values per channel, mean and biased variance over all processes; the same bits in each."""
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    own = torch.cat([mean.new_tensor([x.numel() // x.shape[1]]), mean, variance])
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    counts, means, variances = torch.stack(parts).split([1, len(mean), len(mean)], dim=1)
    shares = counts / counts.sum()
    mean = (shares * means).sum(0)
    return counts.sum(), mean, (shares * (variances + (means - mean).square())).sum(0)


class _Normalise(torch.autograd.Function):
    """BatchNorm with the statistics of the whole batch, which the gradient flows through.

    With g the gradient times weight / deviation, z the normalised x, and means over the whole batch:
    the gradient of x is g - mean(g) - z mean(g z).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Float[Tensor, "b c h w"],
        weight: Float[Tensor, " c"],
        bias: Float[Tensor, " c"],
        statistics: _BatchStatistics,
    ) -> Float[Tensor, "b c h w"]:
        ctx.save_for_backward(x, weight, statistics.pixels, statistics.mean, statistics.variance)
        ctx.eps = statistics.eps  # type: ignore[attr-defined]
        return F.batch_norm(x, statistics.mean, statistics.variance, weight, bias, eps=statistics.eps)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, count, mean, variance = ctx.saved_tensors  # type: ignore[attr-defined]
        eps: float = ctx.eps  # type: ignore[attr-defined]
        fixed = (weight, mean, variance, None, None, False, eps, [True, True, True])
        x_gradient, weight_gradient, bias_gradient = torch.ops.aten.native_batch_norm_backward(gradients[0], x, *fixed)
        sums = torch.stack([weight_gradient, bias_gradient])
        distributed.all_reduce(sums)
        inverse = torch.rsqrt(variance + eps)
        slope = weight * inverse.square() * sums[0] / count
        offset = weight * inverse * sums[1] / count - slope * mean
        x_gradient -= torch.addcmul(offset[:, None, None], x, slope[:, None, None])
        return x_gradient, weight_gradient, bias_gradient, None
