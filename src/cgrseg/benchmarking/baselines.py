"""Baselines with random weights: the same network in a plain PyTorch pipeline, and SegFormer.

    plain        CGRSeg in PyTorch, nothing folded -- logits to its input, then to the image -- softmax -- argmax
    segformer    Hugging Face's module in PyTorch --- logits to the image ----------------------------- argmax

Both resize the image like the weights they are compared with, so that every network sees the same pixels.

Axes: k classes, h w logit rows and columns, _H _W prepared rows and columns, H_ W_ others.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional as F

from cgrseg.classes import named
from cgrseg.config import WITHOUT_ATTENTION, InferenceConfig, ModelConfig
from cgrseg.data.transforms import fit_size
from cgrseg.errors import CGRSegError, MissingExtra
from cgrseg.model import build_model
from cgrseg.model.efficientformer import set_query_block
from cgrseg.predictor.views import prepare
from cgrseg.types import Image, LabelMap, Size
from cgrseg.weights import WeightsInfo

Prepared = Float32[np.ndarray, "3 _H _W"]
Logits = Float32[np.ndarray, "k h w"]


@dataclass(frozen=True)
class SegFormerPlan:
    """Widths and depths of a SegFormer."""

    design: str
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    decoder: int


SEGFORMERS = {
    "segformer-b0": SegFormerPlan("SegFormer-B0", (32, 64, 160, 256), (2, 2, 2, 2), 256),
    "segformer-b1": SegFormerPlan("SegFormer-B1", (64, 128, 320, 512), (2, 2, 2, 2), 256),
    "segformer-b2": SegFormerPlan("SegFormer-B2", (64, 128, 320, 512), (3, 4, 6, 3), 768),
}
BASELINES = ("plain", *SEGFORMERS)
"""Names of all baselines."""
ALL_QUERIES = 1 << 31
"""A block of queries that no image fills: attention then computes the full queries x keys matrix, as usual."""


class Plain:
    """CGRSeg in a plain pipeline: attention of all queries at once, full-size logits, softmax, argmax.

    The attention bias, if the network has one, is that of the authors' code.
    """

    engine, precision = "torch", "fp32"

    def __init__(self, info: WeightsInfo) -> None:
        self.info, self.model = info, seeded(info.model)
        set_query_block(self.model, ALL_QUERIES)
        self.design = f"CGRSeg-{info.model.size.capitalize()}"

    def build(self) -> nn.Module:
        return build_model(self.info.model)

    def prepare(self, image: Image) -> Prepared:
        prepared = prepare(image, self.info)
        _, height, width = prepared.shape
        return np.pad(prepared, ((0, 0), (0, -height % 32), (0, -width % 32)))

    def network(self, prepared: Prepared) -> Logits:
        with torch.inference_mode():
            return self.model(torch.from_numpy(prepared)[None])[0].numpy()

    def label(self, logits: Logits, size: Size) -> LabelMap:
        height, width = fit_size(size, (self.info.inference.short_px, self.info.inference.long_px))
        with torch.inference_mode():
            full = resized(torch.from_numpy(logits)[None], (8 * logits.shape[1], 8 * logits.shape[2]))
            full = resized(full[..., :height, :width], size)
            return full.softmax(1).argmax(1)[0].to(torch.uint8).numpy()


class SegFormer:
    """Hugging Face's SegFormer, with the label map computed as in its image processor."""

    engine, precision = "torch", "fp32"

    def __init__(self, info: WeightsInfo, plan: SegFormerPlan) -> None:
        self.info, self.plan, self.design = info, plan, plan.design
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = self.build().eval()

    def build(self) -> nn.Module:
        try:
            from transformers import SegformerConfig, SegformerForSemanticSegmentation
        except ImportError:
            raise MissingExtra(
                "transformers is not installed",
                advice="run: pip install 'cgrseg[bench]'",
            ) from None
        config = SegformerConfig(
            hidden_sizes=list(self.plan.widths), depths=list(self.plan.depths), decoder_hidden_size=self.plan.decoder
        )
        config.num_labels = self.info.model.classes
        return SegformerForSemanticSegmentation(config)

    def prepare(self, image: Image) -> Prepared:
        return prepare(image, self.info)

    def network(self, prepared: Prepared) -> Logits:
        with torch.inference_mode():
            return self.model(torch.from_numpy(prepared)[None]).logits[0].numpy()

    def label(self, logits: Logits, size: Size) -> LabelMap:
        with torch.inference_mode():
            return resized(torch.from_numpy(logits)[None], size).argmax(1)[0].to(torch.uint8).numpy()


def open_baseline(name: str, model: ModelConfig, inference: InferenceConfig) -> Plain | SegFormer:
    """Build a baseline by name, with random weights.

    Args:
        name: one of `BASELINES`.
        model: gives the number of classes and, for `plain`, the size of the network.
        inference: the size that images are brought to.

    Raises:
        CGRSegError: no baseline has this name.
        MissingExtra: its package is not installed.
    """
    if name not in BASELINES:
        raise CGRSegError(f"no baseline is called {name!r}", advice=f"choose from {', '.join(BASELINES)}")
    position = "offsets" if model.size in WITHOUT_ATTENTION else "official"
    info = random_info(ModelConfig(size=model.size, classes=model.classes, position=position), inference)
    return Plain(info) if name == "plain" else SegFormer(info, SEGFORMERS[name])


def seeded(config: ModelConfig) -> nn.Module:
    """A network with random weights from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_model(config).eval()


def random_info(config: ModelConfig, inference: InferenceConfig) -> WeightsInfo:
    """Metadata for a network with random weights; its classes are numbered."""
    classes = named(tuple(f"class {label}" for label in range(config.classes)))
    return WeightsInfo(model=config, classes=classes, inference=inference)


def resized(logits: Float32[Tensor, "1 k h w"], size: Size) -> Float32[Tensor, "1 k H_ W_"]:
    """Logits resized bilinearly."""
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
