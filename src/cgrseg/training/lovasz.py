"""The Lovász-softmax loss: a surrogate of 1 - IoU that has a gradient (Berman, Triki and Blaschko, CVPR 2018).

    probabilities, labels -- error of each pixel, class by class -- sorted, largest first
                  what each pixel adds to 1 - IoU if the errors come in this order -- times the error -- sum

For probabilities of 0 and 1 it is 1 - IoU itself, so a class of few pixels counts as much as the road does.

Axes: k classes, c those present, n labelled pixels, h w rows and columns.
"""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from cgrseg.arrays import IGNORE


def lovasz_softmax(
    shares: Float[Tensor, "k h w"], labels: UInt8[Tensor, "h w"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "k h w"]]:
    """The loss of one picture, 0..1, and its gradient in the logits whose softmax the shares are.

    It is the mean over the classes that the labels have; a picture without labels gives 0.
    """
    known = labels != IGNORE
    gradient = torch.zeros_like(shares)
    if not known.any():
        return shares.new_zeros(()), gradient
    probabilities, truth = shares[:, known], labels[known].long()
    present = truth.unique()
    is_class = truth == present[:, None]
    errors = torch.where(is_class, 1 - probabilities[present], probabilities[present])
    errors, order = errors.sort(dim=1, descending=True)
    steps = _jaccard_steps(is_class.gather(1, order)) / len(present)
    slopes = torch.zeros_like(steps).scatter_(1, order, steps)
    wanted = torch.zeros_like(probabilities)
    wanted[present] = torch.where(is_class, -slopes, slopes)
    gradient[:, known] = probabilities * (wanted - (wanted * probabilities).sum(0))
    return (errors * steps).sum(), gradient


def _jaccard_steps(is_class: Bool[Tensor, "c n"]) -> Float[Tensor, "c n"]:
    """What each pixel adds to 1 - IoU, if it becomes wrong after all before it."""
    missed = is_class.cumsum(1)
    total = missed[:, -1:]
    count = torch.arange(1, is_class.shape[1] + 1, device=is_class.device)
    lost = 1 - (total - missed).float() / (total + count - missed)
    return lost.diff(dim=1, prepend=torch.zeros_like(lost[:, :1]))
