"""Training: from a recipe and labelled pictures to a weights file."""

from cgrseg.training.loop import train

__all__ = ["train"]
