"""The Dynamic Prototype Guided head (Fig. 4 of the paper).

    x -+- depthwise 1x1, BN, ReLU -- classifier -- softmax over pixels --+
       +--------------------------------------------------------------- x -- prototypes -- gate --+
       +----------------------------------------------------------------------- x * gate + x -----+-- classifier

Axes: b batch, d decoder width, k classes, h rows, w columns.
"""

from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.model.layers import ChannelNorm, ConvNorm


class PrototypeGate(nn.Module):
    """One factor 0..1 per channel, from the prototypes weighed against each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool = nn.Conv2d(width, 1, 1)
        last = nn.Conv2d(width, width, 1)
        self.excite = nn.Sequential(nn.Conv2d(width, width, 1), ChannelNorm(width), nn.ReLU(), last, nn.Sigmoid())
        nn.init.kaiming_normal_(self.pool.weight, mode="fan_in", nonlinearity="relu")
        for start in (self.pool.bias, last.weight, last.bias):
            if start is not None:
                nn.init.zeros_(start)

    def forward(self, prototypes: Float[Tensor, "b d k 1"]) -> Float[Tensor, "b d 1 1"]:
        share = self.pool(prototypes).softmax(2)  # (b, 1, k, 1)
        return self.excite((prototypes * share).sum(2, keepdim=True))


class PrototypeHead(nn.Module):
    """Guesses the classes, gathers a prototype of each, and answers with features guided by them.

    Official: the same classifier gives the guess and the answer, and only the answer has a loss.
    """

    def __init__(self, width: int, classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        features = ConvNorm(width, width, groups=width, bias=False)
        self.guess = nn.Sequential(features, nn.ReLU())
        self.gate = PrototypeGate(width)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, classes, 1)
        nn.init.kaiming_normal_(features.conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.classifier.weight, std=0.01)
        if self.classifier.bias is not None:
            nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b k h w"]:
        guess = self.classify(self.guess(x))
        gated = x * self.gate(prototypes(guess, x))
        return self.classify(gated + x)

    def classify(self, x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b k h w"]:
        """Logits from features; in training, whole channels are dropped first."""
        return self.classifier(self.dropout(x))


def prototypes(guess: Float[Tensor, "b k h w"], x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b d k 1"]:
    """The mean feature of each class, pixels weighed by the softmax over pixels of its guess."""
    weights = guess.flatten(2).softmax(2)  # (b, k, hw)
    return (weights @ x.flatten(2).transpose(1, 2)).transpose(1, 2)[..., None]
