"""Advice on training: settings derived from the data before a run; a verdict and images to label after it."""

from cgrseg.advisor.plan import plan, plan_sources
from cgrseg.advisor.verdict import judge

__all__ = ["judge", "plan", "plan_sources"]
