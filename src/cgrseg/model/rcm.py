"""Rectangular self-calibration (Fig. 2 and 3 of the paper).

    RCA   x -+- row means + column means -- strip convs -- sigmoid -+
             +--------------- depthwise 3x3 ----------------------- x -- out

    RCM   x -+- RCA -- BN -- MLP -- scale -- + -- out
             +-------------------------------+

Axes: b batch, c channels, h rows, w columns.
"""

from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.model.layers import Scale


class RCA(nn.Module):
    """Rectangular self-calibration attention: an axis-shaped region of interest, then a sharper one by strips."""

    def __init__(self, channels: int, *, strip: int = 11) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.calibrate = nn.Sequential(
            nn.Conv2d(channels, channels, (1, strip), padding=(0, strip // 2), groups=channels),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, (strip, 1), padding=(strip // 2, 0), groups=channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        region = x.mean(3, keepdim=True) + x.mean(2, keepdim=True)
        return self.calibrate(region) * self.local(x)


class RCM(nn.Module):
    """Rectangular self-calibration module: RCA, BN and an MLP around one residual."""

    def __init__(self, channels: int, *, strip: int = 11, start: float = 1e-6, expansion: int = 2) -> None:
        super().__init__()
        self.attention = RCA(channels, strip=strip)
        self.norm = nn.BatchNorm2d(channels)
        self.mlp = nn.Sequential(
            nn.Conv2d(channels, channels * expansion, 1), nn.GELU(), nn.Conv2d(channels * expansion, channels, 1)
        )
        self.scale = Scale(channels, start)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.scale(self.mlp(self.norm(self.attention(x))))
