"""The learnt bias of attention: a table over the distance between two tokens, in rows and in columns.

    table (heads, g, g)  --  rows to ky entries, columns to kx  --  entry |s*qy - ky|, |s*qx - kx|  --  bias

The table is learnt for images of one size, a grid of g x g keys. At other sizes `offsets` reads the same distances
from it, stretched over the longer axis where there are more keys than entries; `official` does what the released code
does: it resizes the expanded queries-by-keys matrix as if it were an image. Either way the bias is read for some
queries at a time, from parts that are never as large as queries x keys (but for the official matrix of the trained
size, which is what gets resized).

Axes: q queries, p picked queries, n keys, e signed distances, m queries of the trained size.

Attention a block of queries at a time: no tensor of queries x keys ever exists.

    block of queries -- x keys -- talk -- + bias, read for these queries -- softmax -- talk -- x values -- block of sums

Run as it is, the loop over the blocks is Python's; in an exported program it is the graph's own, however many they are.

Axes: b batch, q queries, p queries of a block, n keys, d v widths of a query or key and of a value in one head.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cgrseg.model.layers import Length

Position = Literal["offsets", "official"]
SHARPNESS = -0.75
"""The constant of PyTorch's bicubic interpolation."""


class Offsets(NamedTuple):
    """An entry for every signed distance, flat, and for each query and key the index of their difference."""

    entries: Float[Tensor, "heads e"]
    queries: Int[Tensor, " q"]
    keys: Int[Tensor, " n"]

    def read(self, picked: Int[Tensor, " p"]) -> Float[Tensor, "heads p n"]:
        """The bias of some queries and all keys."""
        positions = self.queries.index_select(0, picked)[:, None] - self.keys
        return self.entries.index_select(1, positions.flatten()).view(-1, *positions.shape)


class Resized(NamedTuple):
    """A matrix that has its columns already, and for each query the four of its rows between which it lies."""

    matrix: Float[Tensor, "heads m n"]
    rows: Int[Tensor, "q 4"]
    shares: Float[Tensor, "q 4"]

    def read(self, picked: Int[Tensor, " p"]) -> Float[Tensor, "heads p n"]:
        """The bias of some queries and all keys."""
        rows, shares = self.rows.index_select(0, picked), self.shares.index_select(0, picked)
        return sum_taps(self.matrix, rows, shares[..., None], axis=1)


class AttentionBias(nn.Module):
    """Bias of every query and key, from their distance; queries stand at every `stride`-th key along each axis."""

    def __init__(self, heads: int, grid: int, *, stride: int = 1, position: Position = "offsets") -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, grid, grid))
        self.grid, self.stride, self.position = grid, stride, position

    def forward(self, rows: Length, columns: Length, talk: nn.Module | None = None) -> Offsets | Resized:
        """The source of the bias for keys on a grid of rows x columns, both in row-major order.

        `talk` mixes the heads (a 1x1 convolution): of the table, which gives the same bias as mixing it afterwards.
        """
        table = self.table if talk is None else talk(self.table[None])[0]
        if self.position == "offsets":
            return self.stand(stretch(stretch(table, rows, axis=1), columns, axis=2), rows, columns)
        trained = self.stand(table, self.grid, self.grid)
        matrix = trained.read(torch.arange(len(trained.queries), device=table.device))
        # Official: rows of this matrix are flattened positions, so a non-square image scrambles the distances.
        queries = ((rows + self.stride - 1) // self.stride) * ((columns + self.stride - 1) // self.stride)
        taps, shares = cubic_taps(matrix.shape[2], rows * columns, table.device)
        matrix = sum_taps(matrix, taps, shares, axis=2)
        return Resized(matrix, *cubic_taps(matrix.shape[1], queries, table.device))

    def stand(self, table: Float[Tensor, "heads y x"], rows: Length, columns: Length) -> Offsets:
        """A table and the positions on a grid of rows x columns."""
        down, along = (torch.arange(1 - side, side, device=table.device).abs() for side in (rows, columns))
        entries = table.index_select(1, down).index_select(2, along)  # (heads, 2 rows - 1, 2 columns - 1)
        width = 2 * columns - 1
        y, x = torch.arange(rows, device=table.device), torch.arange(columns, device=table.device)
        keys = (y[:, None] * width + x).flatten()
        queries = (y[:: self.stride, None] * width + x[:: self.stride]).flatten()
        return Offsets(entries.flatten(1), queries + (rows - 1) * width + columns - 1, keys)


def stretch(table: Float[Tensor, "heads y x"], entries: Length, *, axis: int) -> Float[Tensor, "heads y_ x_"]:
    """The table with `entries` along one axis: itself if it has that many or more, else linearly resampled."""
    last = table.shape[axis] - 1
    position = torch.arange(entries, device=table.device) * last / torch.sym_max(entries - 1, last)
    lower = position.floor().long()
    share = (position - lower).to(table.dtype)
    share = share[:, None] if axis == 1 else share
    upper = (lower + 1).clamp(max=last)
    return table.index_select(axis, lower).lerp(table.index_select(axis, upper), share)


def cubic_taps(source: Length, target: Length, device: torch.device) -> tuple[Int[Tensor, "q 4"], Float[Tensor, "q 4"]]:
    """For each of `target` positions over `source` entries, the four entries around it and what each contributes.

    The positions and factors are those of `interpolate(mode="bicubic", align_corners=False)`.
    """
    position = (torch.arange(target, device=device) + 0.5) * (source / target) - 0.5
    lower = position.floor()
    ahead = position - lower
    near = [((SHARPNESS + 2) * t - (SHARPNESS + 3)) * t * t + 1 for t in (ahead, 1 - ahead)]
    far = [(((t - 5) * t + 8) * t - 4) * SHARPNESS for t in (ahead + 1, 2 - ahead)]
    entries = lower.long()[:, None] + torch.arange(-1, 3, device=device)
    return entries.clamp(0, source - 1), torch.stack([far[0], near[0], near[1], far[1]], 1)


def sum_taps(
    matrix: Float[Tensor, "heads m n"], taps: Int[Tensor, "p 4"], shares: Float[Tensor, "p 4 *one"], *, axis: int
) -> Float[Tensor, "heads m_ n_"]:
    """Four entries along an axis for each position, weighed by their shares."""
    terms = [matrix.index_select(axis, taps[:, tap]) * shares[:, tap] for tap in range(4)]
    return terms[0] + terms[1] + terms[2] + terms[3]


BLOCK = 64
"""Queries in a block: the scores of eight heads then fill half a megabyte at 512 x 512, which caches hold."""

Talk = tuple[Tensor, ...]
"""How the heads are mixed before and after the softmax, (heads, heads) each; or nothing."""


def attend(
    query: Float[Tensor, "b heads q d"],
    key: Float[Tensor, "b heads d n"],
    value: Float[Tensor, "b heads v n"],
    positions: Offsets | Resized,
    talk: Talk = (),
    block: int = BLOCK,
) -> Float[Tensor, "q b heads v"]:
    """For each query, the sum of the values, weighed by the softmax of its products with the keys plus their bias.

    `block` queries are computed at a time; an exported program always computes `BLOCK`.
    """
    if torch.compiler.is_exporting():
        return attend_in_graph(query, key, value, positions, talk)
    blocks = torch.arange(query.shape[2], device=query.device).split(block)
    return torch.cat([attend_block(picked, query, key, value, positions, talk) for picked in blocks])


def attend_block(
    picked: Int[Tensor, " p"],
    query: Float[Tensor, "b heads q d"],
    key: Float[Tensor, "b heads d n"],
    value: Float[Tensor, "b heads v n"],
    positions: Offsets | Resized,
    talk: Talk,
) -> Float[Tensor, "p b heads v"]:
    """The sums of some queries."""
    scores = query.index_select(2, picked) @ key
    if talk:
        before, after = talk
        weights = mix(after, (mix(before, scores) + positions.read(picked)).softmax(-1))
    else:
        weights = (scores + positions.read(picked)).softmax(-1)
    return (weights @ value.transpose(2, 3)).permute(2, 0, 1, 3)


def mix(talk: Float[Tensor, "heads heads"], x: Float[Tensor, "b heads p n"]) -> Float[Tensor, "b heads p n"]:
    """Every head becomes a weighed sum of all."""
    return talk.expand(x.shape[0], -1, -1).bmm(x.flatten(2)).view_as(x)


def attend_in_graph(
    query: Float[Tensor, "b heads q d"],
    key: Float[Tensor, "b heads d n"],
    value: Float[Tensor, "b heads v n"],
    positions: Offsets | Resized,
    talk: Talk,
) -> Float[Tensor, "q b heads v"]:
    """`attend` as one operator that exported programs, ONNX and OpenVINO know as a loop."""
    queries, kind, parts = query.shape[2], type(positions), len(positions)
    block = torch.arange(BLOCK, device=query.device)

    def is_unfinished(first: Tensor, _sums: Tensor, *fixed: Tensor) -> Tensor:
        return (first < fixed[1].shape[2]).all()

    def add_block(first: Tensor, sums: Tensor, *fixed: Tensor) -> tuple[Tensor, Tensor]:
        block, query, key, value, *rest = fixed
        picked = (block + first).clamp(max=query.shape[2] - 1)  # the last block may repeat the last query
        found = attend_block(picked, query, key, value, kind(*rest[:parts]), tuple(rest[parts:]))
        return first + BLOCK, sums.index_copy(0, picked, found)

    start = torch.zeros(1, dtype=torch.int64, device=query.device)
    sums = value.new_zeros(queries, *value.shape[:3])
    loop = torch.ops.higher_order.while_loop
    return loop(is_unfinished, add_block, (start, sums), (block, query, key, value, *positions, *talk))[1]
