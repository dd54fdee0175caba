"""The backbone, EfficientFormerV2, with the attention tables of the segmentation model.

    image -- stem -- stage 0 -- embed -- stage 1 -- embed -- stage 2 -- embed -- stage 3
             1/4     1/4                 1/8                 1/16                1/32

    Block       x -- (+ scale * attention) -- + scale * MLP -- out    attention in the last blocks of stages 2 and 3
    MLP         1x1 -- BN -- GELU -- depthwise 3x3 -- BN -- GELU -- 1x1 -- BN
    Attention   softmax(talk(query . key + bias)), talked again, times values; + local(values) -- GELU -- 1x1 -- BN

Axes: b batch, c channels, h rows, w columns, H W image rows and columns, n tokens.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from cgrseg.config import TalkBias
from cgrseg.model.attention import BLOCK, AttentionBias, Position, attend
from cgrseg.model.layers import ConvNorm, DropPath, Scale, upsample

HEADS = 8


@dataclass(frozen=True)
class BackbonePlan:
    """Widths, depths and MLP expansions of the four stages, and the blocks at the end of stages 2 and 3 that attend."""

    widths: tuple[int, int, int, int]
    expansions: tuple[tuple[int, ...], ...]
    attending: int

    def attends(self, stage: int, block: int) -> bool:
        """Whether this block of this stage starts with attention."""
        return stage >= 2 and block >= len(self.expansions[stage]) - self.attending


class LocalMLP(nn.Module):
    """Two 1x1 convolutions around a depthwise 3x3, each with BN."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.expand = ConvNorm(channels, hidden)
        self.local = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.project = ConvNorm(hidden, channels)
        self.act = nn.GELU()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        x = self.act(self.expand(x))
        x = self.act(self.local(x))
        return self.project(x)


class Attention(nn.Module):
    """Global attention with talking heads, at half the resolution if `reduce`.

    Official: the bias of the second mixing is added to all weights of attention, and so weighs the sum of the values
    over all tokens, which grows with the image; `talk_bias="mean"` makes that sum's size the one at `trained_px`.
    """

    def __init__(
        self,
        channels: int,
        bias: AttentionBias,
        *,
        reduce: bool,
        talk_bias: TalkBias,
        key: int = 32,
        value: int = 128,
    ) -> None:
        super().__init__()
        self.bias, self.talk_bias, self.query_block = bias, talk_bias, BLOCK
        self.reduce = ConvNorm(channels, channels, 3, stride=2, groups=channels) if reduce else nn.Identity()
        self.query = ConvNorm(channels, HEADS * key)
        self.key = ConvNorm(channels, HEADS * key)
        self.value = ConvNorm(channels, HEADS * value)
        self.local = ConvNorm(HEADS * value, HEADS * value, 3, groups=HEADS * value)
        self.talk_before = nn.Conv2d(HEADS, HEADS, 1)
        self.talk_after = nn.Conv2d(HEADS, HEADS, 1)
        self.project = nn.Sequential(nn.GELU(), ConvNorm(HEADS * value, channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        small = self.reduce(x)
        value = self.value(small)
        values = heads(value)
        positions = self.bias(*small.shape[-2:], self.talk_before)
        talk = (self.talk_before.weight.flatten(1), self.talk_after.weight.flatten(1))
        sums = attend(*query_and_key(self.query(small), self.key(small)), values, positions, talk, self.query_block)
        sums = sums + self.talk_after.get_parameter("bias")[:, None] * self.total(values)  # what it adds to all weights
        return self.project(upsample(as_map(sums, like=small) + self.local(value), like=x))

    def total(self, values: Float[Tensor, "b heads d n"]) -> Float[Tensor, "b heads d"]:
        """The sum of the values over all tokens, or over as many as the tables are made for of their mean."""
        return values.sum(3) if self.talk_bias == "sum" else values.mean(3) * self.bias.grid**2

    def extra_repr(self) -> str:
        return f"talk_bias={self.talk_bias}"


class DownsamplingAttention(nn.Module):
    """Attention of every second row and column to all tokens; it halves the resolution."""

    def __init__(self, inputs: int, outputs: int, bias: AttentionBias, *, key: int = 16, value: int = 64) -> None:
        super().__init__()
        self.bias, self.query_block = bias, BLOCK
        self.query_local = nn.Conv2d(inputs, inputs, 3, 2, 1, groups=inputs)
        self.query = ConvNorm(inputs, HEADS * key)
        self.key = ConvNorm(inputs, HEADS * key)
        self.value = ConvNorm(inputs, HEADS * value)
        self.local = ConvNorm(HEADS * value, HEADS * value, 3, stride=2, groups=HEADS * value)
        self.project = nn.Sequential(nn.GELU(), ConvNorm(HEADS * value, outputs))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h_ w_"]:
        value = self.value(x)
        query = self.query(x[..., ::2, ::2] + self.query_local(x))
        positions = self.bias(*x.shape[-2:])
        sums = attend(*query_and_key(query, self.key(x)), heads(value), positions, block=self.query_block)
        return self.project(as_map(sums, like=query) + self.local(value))


def set_query_block(model: nn.Module, queries: int) -> None:
    """Make every attention of a model compute `queries` queries at a time; results change by rounding only."""
    for module in model.modules():
        if isinstance(module, Attention | DownsamplingAttention):
            module.query_block = queries


def heads(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b heads d n"]:
    """The channels of each head, of every token."""
    return x.unflatten(1, (HEADS, -1)).flatten(3)


def query_and_key(
    query: Float[Tensor, "b c qy qx"], key: Float[Tensor, "b c ky kx"]
) -> tuple[Float[Tensor, "b heads q d"], Float[Tensor, "b heads d n"]]:
    """Queries, scaled by the root of their width, and keys, of each head."""
    queries = heads(query).transpose(2, 3)
    return queries * queries.shape[3] ** -0.5, heads(key)


def as_map(sums: Float[Tensor, "q b heads v"], like: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b c h w"]:
    """The sums of all heads as the channels of each place."""
    return sums.permute(1, 2, 3, 0).flatten(1, 2).unflatten(2, like.shape[-2:])


class Block(nn.Module):
    """Attention (in the last blocks of a stage) and an MLP, each scaled and added to what came in."""

    def __init__(self, attention: nn.Module | None, mlp: LocalMLP, *, width: int, start: float, drop: float) -> None:
        super().__init__()
        self.attention = nn.Sequential(attention, Scale(width, start)) if attention is not None else None
        self.mlp = nn.Sequential(mlp, Scale(width, start))
        self.drop = DropPath(drop)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if self.attention is not None:
            x = x + self.drop(self.attention(x))
        return x + self.drop(self.mlp(x))


class AttentiveEmbedding(nn.Module):
    """The last halving: a strided convolution plus a downsampling attention."""

    def __init__(self, inputs: int, outputs: int, bias: AttentionBias) -> None:
        super().__init__()
        self.conv = ConvNorm(inputs, outputs, 3, stride=2)
        self.attention = DownsamplingAttention(inputs, outputs, bias)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h_ w_"]:
        return self.attention(x) + self.conv(x)


class EfficientFormerV2(nn.Module):
    """The backbone: feature maps at 1/8, 1/16 and 1/32 of the image, fine to coarse."""

    def __init__(
        self,
        plan: BackbonePlan,
        *,
        trained_px: int,
        position: Position,
        talk_bias: TalkBias,
        layer_scale: float,
        drop_path: float,
    ) -> None:
        super().__init__()
        widths, tokens = plan.widths, trained_px // 32
        self.stem = nn.Sequential(
            ConvNorm(3, widths[0] // 2, 3, stride=2),
            nn.GELU(),
            ConvNorm(widths[0] // 2, widths[0], 3, stride=2),
            nn.GELU(),
        )
        last_bias = AttentionBias(HEADS, 2 * tokens, stride=2, position=position)
        self.embeddings = nn.ModuleList(
            [
                ConvNorm(widths[0], widths[1], 3, stride=2),
                ConvNorm(widths[1], widths[2], 3, stride=2),
                AttentiveEmbedding(widths[2], widths[3], last_bias),
            ]
        )
        last = sum(map(len, plan.expansions)) - 1
        rates = (drop_path * block / last for block in range(last + 1))
        self.stages = nn.ModuleList()
        for stage, expansions in enumerate(plan.expansions):
            blocks = []
            for block, expansion in enumerate(expansions):
                bias = AttentionBias(HEADS, tokens, position=position)
                attends = plan.attends(stage, block)
                attention = Attention(widths[stage], bias, reduce=stage == 2, talk_bias=talk_bias) if attends else None
                mlp = LocalMLP(widths[stage], expansion)
                blocks.append(Block(attention, mlp, width=widths[stage], start=layer_scale, drop=next(rates)))
            self.stages.append(nn.Sequential(*blocks))
        self.apply(start_mlp)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _ _ _"]]:
        x = self.stages[0](self.stem(image))
        features = []
        for embedding, stage in zip(self.embeddings, list(self.stages)[1:], strict=True):
            x = stage(embedding(x))
            features.append(x)
        return features

    def first(self, stages: int) -> list[nn.Module]:
        """The stem and so many stages after it, with the embeddings between them."""
        return [self.stem, *list(self.stages)[:stages], *list(self.embeddings)[: max(stages - 1, 0)]]


def start_mlp(module: nn.Module) -> None:
    """The backbone's start: truncated normal kernels in its MLPs, PyTorch's own elsewhere."""
    if isinstance(module, LocalMLP):
        for part in (module.expand, module.local, module.project):
            nn.init.trunc_normal_(part.conv.weight, std=0.02)
            if part.conv.bias is not None:
                nn.init.zeros_(part.conv.bias)
