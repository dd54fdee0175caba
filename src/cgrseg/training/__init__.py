"""Training: from labelled pictures, and a recipe or one made of them, to a weights file and a verdict."""

from cgrseg.training.planning import plan
from cgrseg.training.starting import train
from cgrseg.training.verdict import judge

__all__ = ["judge", "plan", "train"]
