"""Foreign names for our tensors.

our name -- renames, in order -- their name      and back by looking up what each of ours becomes
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

Rename = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern, and what takes the place of its matches."""


@dataclass(frozen=True)
class Naming:
    """How someone else names the tensors of the backbone."""

    owner: str
    theirs: Callable[[str], str]
    """Their name of one of our tensors."""
    unused: re.Pattern[str]
    """Their tensors that are none of the backbone: classifiers, and indices that follow from the grid."""
    stem: str = "stem.0.conv.weight"
    """Our name of the first kernel, whose foreign name tells who named a file's tensors."""


def rename(name: str, renames: Sequence[Rename]) -> str:
    """A name after all renames, each applied to what the one before gave."""
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def under_our_names(
    wanted: dict[str, Tensor], tensors: dict[str, Tensor], theirs: Callable[[str], str]
) -> dict[str, Tensor]:
    """Foreign tensors under our names and, where as many numbers are wanted, in our shapes; unknown names stay."""
    ours = {theirs(name): (name, tensor) for name, tensor in wanted.items()}
    renamed = {}
    for name, tensor in tensors.items():
        own, like = ours.get(name, (name, tensor))
        renamed[own] = tensor.reshape(like.shape) if tensor.numel() == like.numel() else tensor
    return renamed
