"""Attention a block of queries at a time: no tensor of queries x keys ever exists.

    block of queries -- x keys -- talk -- + bias, read for these queries -- softmax -- talk -- x values -- block of sums

Run as it is, the loop over the blocks is Python's; in an exported program it is the graph's own, however many they are.

Axes: b batch, q queries, p queries of a block, n keys, d v widths of a query or key and of a value in one head.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cgrseg.model.position import Offsets, Resized

BLOCK = 64
"""Queries in a block: the scores of eight heads then fill half a megabyte at 512 x 512, which caches hold."""

Talk = tuple[Tensor, ...]
"""How the heads are mixed before and after the softmax, (heads, heads) each; or nothing."""


def attend(
    query: Float[Tensor, "b heads q d"],
    key: Float[Tensor, "b heads d n"],
    value: Float[Tensor, "b heads v n"],
    places: Offsets | Resized,
    talk: Talk = (),
) -> Float[Tensor, "q b heads v"]:
    """For each query, the sum of the values, weighed by the softmax of its products with the keys plus their bias."""
    if torch.compiler.is_exporting():
        return attend_in_graph(query, key, value, places, talk)
    blocks = torch.arange(query.shape[2], device=query.device).split(BLOCK)
    return torch.cat([attend_block(block, query, key, value, places, talk) for block in blocks])


def attend_block(
    picked: Int[Tensor, " p"],
    query: Float[Tensor, "b heads q d"],
    key: Float[Tensor, "b heads d n"],
    value: Float[Tensor, "b heads v n"],
    places: Offsets | Resized,
    talk: Talk,
) -> Float[Tensor, "p b heads v"]:
    """The sums of some queries."""
    scores = query.index_select(2, picked) @ key
    if talk:
        before, after = talk
        weights = mix(after, (mix(before, scores) + places.read(picked)).softmax(-1))
    else:
        weights = (scores + places.read(picked)).softmax(-1)
    return (weights @ value.transpose(2, 3)).permute(2, 0, 1, 3)


def mix(talk: Float[Tensor, "heads heads"], x: Float[Tensor, "b heads p n"]) -> Float[Tensor, "b heads p n"]:
    """Every head becomes a weighed sum of all."""
    return talk.expand(x.shape[0], -1, -1).bmm(x.flatten(2)).view_as(x)


def attend_in_graph(
    query: Float[Tensor, "b heads q d"],
    key: Float[Tensor, "b heads d n"],
    value: Float[Tensor, "b heads v n"],
    places: Offsets | Resized,
    talk: Talk,
) -> Float[Tensor, "q b heads v"]:
    """`attend` as one operator that exported programs, ONNX and OpenVINO know as a loop."""
    queries, kind, parts = query.shape[2], type(places), len(places)
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
    return loop(is_unfinished, add_block, (start, sums), (block, query, key, value, *places, *talk))[1]
