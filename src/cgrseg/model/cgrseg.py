"""The whole network (Fig. 2 of the paper).

    image -- pad -- backbone -- features --+-- pyramid -- contexts --+
                                           +-------------------------+-- reconstruct -- head -- logits

Axes: b batch, k classes, h w logit rows and columns, H W image rows and columns.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from cgrseg.model.attention import Position
from cgrseg.model.layers import Length


class CGRSeg(nn.Module):
    """Context-guided reconstruction: a normalised image of any size in, logits of an eighth of its size out."""

    def __init__(
        self, backbone: nn.Module, pyramid: nn.Module, reconstruct: nn.Module, head: nn.Module, *, position: Position
    ) -> None:
        super().__init__()
        self.backbone, self.pyramid = backbone, pyramid
        self.reconstruct, self.head = reconstruct, head
        self.position = position

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b k h w"]:
        """Logits of ceil(H/8) x ceil(W/8), whose grid spans 8*ceil(H/8) x 8*ceil(W/8) pixels."""
        rows, columns = image.shape[-2:]
        padding = (0, self.missing(columns), 0, self.missing(rows))
        features = self.backbone(F.pad(image, padding))
        contexts = self.pyramid(features)
        x = self.reconstruct(features, contexts)
        logits = self.head(x)
        return logits.index_select(2, eighth(rows, x)).index_select(3, eighth(columns, x))

    def missing(self, side: Length) -> Length:
        """Pixels that a side lacks to a multiple of 32."""
        if self.position == "official":
            # Official: sides of 32n-15 .. 32n are not padded; all others crash there, so padding changes no number.
            return (-side % 32) * ((side + 15) // 16 % 2)
        return -side % 32


def eighth(side: Length, like: Tensor) -> Int[Tensor, " n"]:
    """The rows or columns of the logits that show the image, not its padding.

    A slice would give the same; exported, it would tie the program to sizes that need (or do not need) padding. And
    all divisions here are of numbers above zero, for ONNX rounds towards it.
    """
    return torch.arange((side + 7) // 8, device=like.device)
