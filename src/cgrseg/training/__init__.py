"""Training: from labelled pictures, and a recipe or one made of them, to a weights file and a verdict."""

from cgrseg.training.planning import plan
from cgrseg.training.planning_sources import plan_sources
from cgrseg.training.starting import train
from cgrseg.training.verdict import judge

__all__ = ["judge", "plan", "plan_sources", "train"]
