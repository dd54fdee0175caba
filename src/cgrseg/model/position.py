"""The learnt bias of attention: a table over the distance between two tokens, in rows and in columns.

    table (heads, g, g)  --  rows to ky entries, columns to kx  --  entry |s*qy - ky|, |s*qx - kx|  --  bias

The table is learnt for pictures of one size, a grid of g x g keys. At other sizes `offsets` reads the same distances
from it, stretched over the longer axis where there are more keys than entries; `official` does what the released code
does: it resizes the expanded queries-by-keys matrix as if it were a picture.

Axes: q queries, n keys, g entries of the table along one axis.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from cgrseg.model.layers import Length

Position = Literal["offsets", "official"]


class AttentionBias(nn.Module):
    """Bias of every query and key, from their distance; queries stand at every `stride`-th key along each axis."""

    def __init__(self, heads: int, grid: int, *, stride: int = 1, position: Position = "offsets") -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(heads, grid, grid))
        self.grid, self.stride, self.position = grid, stride, position

    def forward(self, rows: Length, columns: Length) -> Float[Tensor, "heads q n"]:
        """The bias for keys on a grid of rows x columns, both in row-major order."""
        if self.position == "offsets":
            stretched = stretch(stretch(self.table, rows, axis=1), columns, axis=2)
            return self.expand(stretched, rows, columns)
        bias = self.expand(self.table, self.grid, self.grid)
        wanted = (-(rows // -self.stride) * -(columns // -self.stride), rows * columns)
        if bias.shape[1:] == wanted:
            return bias
        # Official: rows of this matrix are flattened positions, so a non-square picture scrambles the distances.
        return F.interpolate(bias[None], size=wanted, mode="bicubic", align_corners=False)[0]

    def expand(self, table: Float[Tensor, "heads y x"], rows: Length, columns: Length) -> Float[Tensor, "heads q n"]:
        """Read the table once for every query and key."""
        vertical = distances(rows, self.stride, table.device)
        horizontal = distances(columns, self.stride, table.device)
        bias = table.index_select(1, vertical.flatten()).index_select(2, horizontal.flatten())
        bias = bias.unflatten(2, horizontal.shape).unflatten(1, vertical.shape)  # (heads, qy, ky, qx, kx)
        return bias.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def distances(keys: Length, stride: int, device: torch.device) -> Int[Tensor, "q n"]:
    """Distance of every query to every key along one axis, in steps of the key grid."""
    places = torch.arange(keys, device=device)
    return (places[::stride, None] - places).abs()


def stretch(table: Float[Tensor, "heads y x"], entries: Length, *, axis: int) -> Float[Tensor, "heads y_ x_"]:
    """The table with `entries` along one axis: itself where that is no more than it has, else linearly resampled."""
    last = table.shape[axis] - 1
    place = torch.arange(entries, device=table.device) * last / torch.sym_max(entries - 1, last)
    lower = place.floor().long()
    share = (place - lower).to(table.dtype)
    share = share[:, None] if axis == 1 else share
    upper = (lower + 1).clamp(max=last)
    return table.index_select(axis, lower).lerp(table.index_select(axis, upper), share)
