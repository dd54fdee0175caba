"""Inference protocols: the ways of running the network on an image that scores are published for.

    whole         [image]                                        once, at the size the weights are for
    sliding       [window][window]..., overlapping                 logits averaged where windows overlap
    multi-scale   [image] x 0.5 ... 1.75, each mirrored, too     probabilities averaged

Each can follow the two steps of the authors' code (`paper_exact`): padded to a multiple of 32, logits resized to the
network's input, and from there to the image.
"""

import difflib
from dataclasses import dataclass, replace
from typing import get_args

from cgrseg.config import InferenceConfig, ProtocolName
from cgrseg.errors import CGRSegError
from cgrseg.types import Size
from cgrseg.weights import WeightsInfo

FACTORS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
"""Of the multi-scale protocol, as mmsegmentation has them."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How the network is run on an image: sizes, flips, windows, and the way from logits to labels."""

    factors: tuple[float, ...] = (1.0,)
    """Scales, relative to the size the weights are for; probabilities of several are averaged."""
    mirrored: bool = False
    """Whether each scale is also run mirrored left to right."""
    window_px: Size | None = None
    """Height and width of the windows that the network is run on one by one; None for the whole image."""
    stride_px: Size | None = None
    """Step from one window to the next, down and across; logits are averaged where windows overlap."""
    paper_exact: bool = False
    """Whether logits are first resized to the network's input, as in the authors' code."""

    def __post_init__(self) -> None:
        if not self.factors or min(self.factors) <= 0:
            raise CGRSegError(
                f"factors {self.factors} give no size",
                advice="use at least one number above 0",
            )
        if (self.window_px is None) != (self.stride_px is None):
            raise CGRSegError(
                "window_px and stride_px belong together",
                advice="give both or neither",
            )
        if self.window_px is not None and self.stride_px is not None and not self._is_gapless():
            raise CGRSegError(
                f"windows of {self.window_px} every {self.stride_px} pixels leave gaps",
                advice="use 1 to the window",
            )

    def _is_gapless(self) -> bool:
        sides = zip(self.stride_px or (), self.window_px or (), strict=True)
        return all(1 <= stride <= window for stride, window in sides)

    @property
    def is_plain(self) -> bool:
        """Whether the network is run once on the whole image, and its logits are resized once."""
        return self == WHOLE

    def describe(self, inference: InferenceConfig) -> str:
        """The protocol in one line, for reports."""
        short, long = f"short side {inference.short_px}", f"long side at most {inference.long_px}"
        shown = "whole image"
        if self.window_px is not None and self.stride_px is not None:
            shown = f"sliding windows {_by(self.window_px)}, stride {_by(self.stride_px)}"
        if self.factors == (1.0,):
            line = f"{shown}, {short}, {long}"
        else:
            line = f"{shown} at {', '.join(f'{factor:g}' for factor in self.factors)} times {short}, {long}"
        mirrored = ", each mirrored, too" if self.mirrored else ""
        return line + mirrored + ("; two-step resize" if self.paper_exact else "")


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


WHOLE = Protocol()
PRESETS = {"whole": WHOLE, "multi-scale": Protocol(factors=FACTORS, mirrored=True)}
"""Protocols that do not depend on the weights."""


def choose_protocol(protocol: str | Protocol, info: WeightsInfo, *, paper_exact: bool = False) -> Protocol:
    """The protocol of a name for these weights, or the one given; windows are as large as the crops in training.

    Raises:
        CGRSegError: no protocol has that name.
    """
    if isinstance(protocol, Protocol):
        chosen = protocol
    elif protocol == "sliding":
        window = crop_of(info)
        chosen = Protocol(window_px=window, stride_px=(max(1, window[0] * 2 // 3), max(1, window[1] * 2 // 3)))
    elif protocol in PRESETS:
        chosen = PRESETS[protocol]
    else:
        close = difflib.get_close_matches(protocol, get_args(ProtocolName), n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(get_args(ProtocolName))}"
        raise CGRSegError(
            f"no protocol {protocol!r}",
            advice=f"{advice}",
        )
    return replace(chosen, paper_exact=chosen.paper_exact or paper_exact)


def crop_of(info: WeightsInfo) -> Size:
    """The largest crop that the weights were trained on; foreign weights name only the size of their tables."""
    if info.recipe is None:
        return info.model.trained_px, info.model.trained_px
    return max(info.recipe.data.crops_px, key=lambda crop: crop[0] * crop[1])
