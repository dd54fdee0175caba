"""Training: one loop for one process and for many, resumed bit for bit."""

from cgrseg.training.train import train

__all__ = ["train"]
