"""The backbone of size `lite`: EfficientNet-Lite2, which has no attention and was designed for integers.

    image -- affine -- stem -- stage 0 -- 1 -- 2 -- 3 -- 4 -- 5 -- 6
                       1/2     1/2      1/4  1/8  1/16 1/16 1/32 1/32
                                              |          |         |
                                           features   features  features

    Block   1x1 -- BN -- ReLU6 -- depthwise -- BN -- ReLU6 -- 1x1 -- BN -- (+ x, where the shape stays)

It stands where the paper has EfficientFormerV2. The architecture is that of Tan and Le (EfficientNet, ICML 2019) in
TensorFlow's Lite variant: no squeeze-and-excitation, ReLU6, stem unscaled, depths and widths for coefficient 2.

Axes: b batch, c channels, h rows, w columns, H W image rows and columns.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.model.layers import ConvNorm

EPS = 1e-3
"""Of every BatchNorm, as in TensorFlow."""
OFFSET, RANGE = 127.0, 128.0
"""The ImageNet network reads (value - 127) / 128 from values 0..255."""
STEM_WIDTH = 32


@dataclass(frozen=True)
class Row:
    """One row of the architecture's table: blocks of equal width, the first of which has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


LITE2 = (
    Row(1, 3, 1, 1, 16),
    Row(3, 3, 2, 6, 24),
    Row(3, 5, 2, 6, 48),
    Row(4, 3, 2, 6, 88),
    Row(4, 5, 1, 6, 120),
    Row(5, 5, 2, 6, 208),
    Row(1, 3, 1, 6, 352),
)
TAPS = (2, 4, 6)
"""Rows whose results are the features at strides 8, 16 and 32."""


def same_padding(kernel: int) -> nn.ZeroPad2d:
    """TensorFlow's SAME padding at stride 2 of an even side: one pixel less before than after."""
    before, after = kernel // 2 - 1, kernel // 2
    return nn.ZeroPad2d((before, after, before, after))


class InvertedResidual(nn.Module):
    """Widened by 1x1, filtered by a depthwise convolution, narrowed by 1x1; added to what came in where it fits."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.is_residual = stride == 1 and inputs == outputs
        self.expand = (
            nn.Sequential(ConvNorm(inputs, hidden, bias=False), nn.ReLU6()) if expansion > 1 else nn.Identity()
        )
        padding = 0 if stride == 2 else kernel // 2
        self.pad = same_padding(kernel) if stride == 2 else nn.Identity()
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride=stride, groups=hidden, bias=False, padding=padding)
        self.act = nn.ReLU6()
        self.project = ConvNorm(hidden, outputs, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h_ w_"]:
        hidden = self.act(self.depthwise(self.pad(self.expand(x))))
        return x + self.project(hidden) if self.is_residual else self.project(hidden)


class EfficientNetLite(nn.Module):
    """The backbone: feature maps at 1/8, 1/16 and 1/32 of the image, fine to coarse.

    Args:
        rows: the table of the architecture.
        mean: of the normalisation of the images that come in, R G B on the scale 0..255.
        std: of the same.
    """

    def __init__(
        self, rows: tuple[Row, ...], mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> None:
        super().__init__()
        self.register_buffer("factor", (torch.tensor(std) / RANGE)[:, None, None], persistent=False)
        self.register_buffer("shift", ((torch.tensor(mean) - OFFSET) / RANGE)[:, None, None], persistent=False)
        self.stem = nn.Sequential(
            same_padding(3), ConvNorm(3, STEM_WIDTH, 3, stride=2, bias=False, padding=0), nn.ReLU6()
        )
        self.stages = nn.ModuleList()
        width = STEM_WIDTH
        for row in rows:
            blocks = []
            for block in range(row.repeats):
                stride = row.stride if block == 0 else 1
                blocks.append(
                    InvertedResidual(width, row.width, kernel=row.kernel, stride=stride, expansion=row.expansion)
                )
                width = row.width
            self.stages.append(nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = EPS

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Features of an image whose sides are multiples of 32."""
        x = self.stem(image * self.get_buffer("factor") + self.get_buffer("shift"))
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in TAPS:
                features.append(x)
        return features

    def first(self, stages: int) -> list[nn.Module]:
        """The stem and so many stages after it."""
        return [self.stem, *list(self.stages)[:stages]]
