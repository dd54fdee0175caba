"""Spatial feature reconstruction (Fig. 2 of the paper), from the coarsest level to the finest.

    coarser result -- upsample -- 1x1 --+
    level ----------------------------- + -- RCM -- 1x1, BN -------------------------- x -- result
    context ---------- 1x1, BN -- hard sigmoid ------------------------ upsample ------+

Axes: b batch, c channels, h rows, w columns.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from cgrseg.model.layers import ConvNorm, upsample


class Fuse(nn.Module):
    """Detail, gated by the hard sigmoid of its level's context."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.detail = ConvNorm(channels, width, bias=False)
        self.context = ConvNorm(channels, width, bias=False)
        for part in (self.detail, self.context):
            nn.init.kaiming_normal_(part.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, detail: Float[Tensor, "b c H W"], context: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d H W"]:
        gate = F.hardsigmoid(self.context(context))
        return self.detail(detail) * upsample(gate, like=detail)


class Reconstruction(nn.Module):
    """The finest level, rebuilt from all levels and their contexts."""

    def __init__(self, widths: tuple[int, ...], width: int, rcms: list[nn.Module]) -> None:
        super().__init__()
        self.rcms = nn.ModuleList(rcms)
        self.merges = nn.ModuleList(nn.Conv2d(width, channels, 1) for channels in widths[:-1])
        self.fuses = nn.ModuleList(Fuse(channels, width) for channels in widths)

    def forward(
        self, features: list[Float[Tensor, "b _ _ _"]], contexts: tuple[Float[Tensor, "b _ h w"], ...]
    ) -> Float[Tensor, "b d H W"]:
        coarsest = len(features) - 1
        x = self.fuses[coarsest](self.rcms[coarsest](features[coarsest]), contexts[coarsest])
        for level in reversed(range(coarsest)):
            detail = features[level] + self.merges[level](upsample(x, like=features[level]))
            x = self.fuses[level](self.rcms[level](detail), contexts[level])
        return x
