"""Training: from a recipe and labelled pictures to a weights file."""

from cgrseg.training.starting import train

__all__ = ["train"]
