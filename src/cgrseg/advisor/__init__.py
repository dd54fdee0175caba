"""Advice: settings from the data before a run, a verdict and the photos worth labelling after it."""

from cgrseg.advisor.plan import plan, plan_sources
from cgrseg.advisor.verdict import judge

__all__ = ["judge", "plan", "plan_sources"]
