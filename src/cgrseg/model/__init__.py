"""The network: one file for each box of Fig. 2 of the paper."""

from cgrseg.model.cgrseg import CGRSeg
from cgrseg.model.variants import build_model

__all__ = ["CGRSeg", "build_model"]
