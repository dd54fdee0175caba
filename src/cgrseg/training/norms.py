"""BatchNorm over the pictures of all processes, on any device.

    x -- sum over pictures, rows, columns -- sum over processes -- mean -+-- (x - mean) / deviation * weight + bias
    (x - mean)^2 -- the same two sums ----------------------- variance -+

PyTorch's SyncBatchNorm runs on CUDA only; this one runs wherever the processes can add tensors.

Axes: b batch, c channels, h rows, w columns.
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F


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
        kind, x = x.dtype, x.float()
        pixels = _total(torch.tensor([float(x.numel() // x.shape[1])], device=x.device))
        mean = _total(x.sum((0, 2, 3))) / pixels
        centred = x - mean[:, None, None]
        variance = _total(centred.square().sum((0, 2, 3))) / pixels
        with torch.no_grad():
            running_mean.lerp_(mean, self.momentum)
            running_variance.lerp_(variance * pixels / (pixels - 1), self.momentum)
            self.get_buffer("num_batches_tracked").add_(1)
        factor = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * factor[:, None, None] + self.bias[:, None, None]).to(kind)


def _total(part: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The sum over the processes, through which gradients flow."""
    return _Total.apply(part)  # type: ignore[return-value]


class _Total(torch.autograd.Function):
    """A sum over the processes; each process's part moves the losses of all."""

    @staticmethod
    def forward(ctx: FunctionCtx, part: Float[Tensor, " n"]) -> Float[Tensor, " n"]:  # noqa: ARG004  torch's signature
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Float[Tensor, " n"]) -> Float[Tensor, " n"]:  # noqa: ARG004
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total
