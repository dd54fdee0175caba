"""The paper's sizes, and how a network is put together from one."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from cgrseg.config import IMAGENET_MEAN, IMAGENET_STD, ModelConfig, ModelSize
from cgrseg.config.parsing import checked
from cgrseg.model.cgrseg import CGRSeg
from cgrseg.model.efficientformer import BackbonePlan, EfficientFormerV2
from cgrseg.model.efficientnet import LITE2, EfficientNetLite
from cgrseg.model.layers import freeze_batch_norm
from cgrseg.model.prototype import PrototypeHead
from cgrseg.model.pyramid import PyramidContext
from cgrseg.model.rcm import RCM
from cgrseg.model.reconstruct import Reconstruction


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One column of the paper's table of sizes, or a decoder of the paper on another backbone."""

    backbone: Callable[[ModelConfig], nn.Module]
    """Makes it; without weights."""
    widths: tuple[int, int, int]
    """Of its features, fine to coarse."""
    width: int
    """Width of the decoder."""
    rcms: int
    """RCMs over the pyramid."""
    strip: int
    """Length of the strip convolutions."""


S0 = BackbonePlan(
    widths=(32, 48, 96, 176),
    expansions=((4,) * 2, (4,) * 2, (4, 3, 3, 3, 4, 4), (4, 3, 3, 4)),
    attending=2,
)
S1 = BackbonePlan(
    widths=(32, 48, 120, 224),
    expansions=((4,) * 3, (4,) * 3, (4, 4, 3, 3, 3, 3, 4, 4, 4), (4, 4, 3, 3, 4, 4)),
    attending=2,
)
S2 = BackbonePlan(
    widths=(32, 64, 144, 288),
    expansions=((4,) * 4, (4,) * 4, (4, 4, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4), (4, 4, 3, 3, 3, 3, 4, 4)),
    attending=4,
)
L = BackbonePlan(
    widths=(40, 80, 192, 384),
    expansions=(
        (4,) * 5,
        (4,) * 5,
        (4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4),
        (4, 4, 4, 3, 3, 3, 3, 4, 4, 4),
    ),
    attending=6,
)

PLANS: dict[ModelSize, BackbonePlan] = {"s0": S0, "t": S1, "b": S2, "l": L}
"""The sizes whose backbone is an EfficientFormerV2."""
DROP_PATHS: dict[ModelSize, float] = {"b": 0.02, "l": 0.1}
"""Their largest drop path rates, where they have any."""


def efficientformer(config: ModelConfig) -> EfficientFormerV2:
    """The EfficientFormerV2 of a size."""
    return EfficientFormerV2(
        PLANS[config.size],
        trained_px=config.trained_px,
        position=config.position,
        talk_bias=config.talk_bias,
        layer_scale=config.layer_scale,
        drop_path=DROP_PATHS.get(config.size, 0.0) if config.drop_path is None else config.drop_path,
    )


def efficientnet(config: ModelConfig) -> EfficientNetLite:  # noqa: ARG001  it has no settings
    """EfficientNet-Lite2."""
    return EfficientNetLite(LITE2, IMAGENET_MEAN, IMAGENET_STD)


VARIANTS: dict[ModelSize, Variant] = {
    "s0": Variant(backbone=efficientformer, widths=S0.widths[1:], width=128, rcms=5, strip=11),
    "t": Variant(backbone=efficientformer, widths=S1.widths[1:], width=128, rcms=5, strip=11),
    "b": Variant(backbone=efficientformer, widths=S2.widths[1:], width=256, rcms=6, strip=11),
    "l": Variant(backbone=efficientformer, widths=L.widths[1:], width=256, rcms=5, strip=9),
    "lite": Variant(backbone=efficientnet, widths=(48, 120, 352), width=128, rcms=5, strip=11),
}


def build_model(config: ModelConfig) -> CGRSeg:
    """A new network with random weights, a plain `torch.nn.Module`; seed PyTorch first for the same ones again.

    Raises:
        RecipeError: a setting is none of its choices or out of its range.
    """
    config = checked(config)
    variant = VARIANTS[config.size]
    widths = variant.widths
    backbone = variant.backbone(config)
    if config.batch_norm == "frozen":
        freeze_batch_norm(backbone)

    def rcm(channels: int) -> RCM:
        return RCM(channels, strip=variant.strip, start=config.rcm_scale)

    return CGRSeg(
        backbone,
        PyramidContext(widths, [rcm(sum(widths)) for _ in range(variant.rcms)]),
        Reconstruction(widths, variant.width, [rcm(channels) for channels in widths]),
        PrototypeHead(variant.width, config.classes),
        position=config.position,
    )
