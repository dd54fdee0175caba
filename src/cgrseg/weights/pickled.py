"""State dicts that PyTorch pickled: read with its restricted reader, which runs nothing that a file says."""

import argparse
import pickle
import warnings
from pathlib import Path

import torch
from torch import Tensor

from cgrseg.errors import CheckpointError, reason

NOT_TENSORS = (pickle.UnpicklingError, RuntimeError, LookupError, ValueError, TypeError, EOFError, OSError)
"""What PyTorch's restricted reader raises on files that hold anything else, or nothing."""
HARMLESS = argparse.Namespace
"""The options of a run, which training scripts keep beside the tensors: a bag of values."""


def read_pickle(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.pth` file by name, plain or below `state_dict` or `model`.

    Raises:
        CheckpointError: the file holds anything but plain tensors, or none.
    """
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals([HARMLESS]):
            tree = torch.load(path, map_location="cpu", weights_only=True)
    except NOT_TENSORS as error:
        raise CheckpointError(
            f"{path.name} cannot be read as plain tensors (nothing else is ever loaded): {reason(error)}"
        ) from None
    for wrapper in ("state_dict", "model"):
        if isinstance(tree, dict) and isinstance(tree.get(wrapper), dict):
            tree = tree[wrapper]
    if not isinstance(tree, dict) or not all(isinstance(value, Tensor) for value in tree.values()):
        raise CheckpointError(f"{path.name} holds no state dict of tensors, plain or under 'state_dict' or 'model'")
    return {name.removeprefix("module."): tensor for name, tensor in tree.items()}
