"""The paper's sizes, and how a network is put together from one."""

from dataclasses import dataclass

from cgrseg.config import ModelConfig, ModelSize
from cgrseg.model.cgrseg import CGRSeg
from cgrseg.model.efficientformer import BackbonePlan, EfficientFormerV2
from cgrseg.model.layers import freeze_batch_norm
from cgrseg.model.prototype import PrototypeHead
from cgrseg.model.pyramid import PyramidContext
from cgrseg.model.rcm import RCM
from cgrseg.model.reconstruct import Reconstruction
from cgrseg.recipes import checked


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One column of the paper's table of sizes."""

    backbone: BackbonePlan
    width: int
    """Width of the decoder."""
    rcms: int
    """RCMs over the pyramid."""
    strip: int
    """Length of the strip convolutions."""
    drop_path: float


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

VARIANTS: dict[ModelSize, Variant] = {
    "s0": Variant(backbone=S0, width=128, rcms=5, strip=11, drop_path=0.0),
    "t": Variant(backbone=S1, width=128, rcms=5, strip=11, drop_path=0.0),
    "b": Variant(backbone=S2, width=256, rcms=6, strip=11, drop_path=0.02),
    "l": Variant(backbone=L, width=256, rcms=5, strip=9, drop_path=0.1),
}


def build_model(config: ModelConfig) -> CGRSeg:
    """A new network with random weights, a plain `torch.nn.Module`; seed PyTorch first for the same ones again.

    Raises:
        RecipeError: a setting is none of its choices or out of its range.
    """
    config = checked(config)
    variant = VARIANTS[config.size]
    widths = variant.backbone.widths[1:]
    backbone = EfficientFormerV2(
        variant.backbone,
        trained_px=config.trained_px,
        position=config.position,
        talk_bias=config.talk_bias,
        layer_scale=config.layer_scale,
        drop_path=variant.drop_path if config.drop_path is None else config.drop_path,
    )
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
