import pytest
import torch

from cgrseg.model.attention import AttentionBias, stretch


def bias_of(position: str, grid: int = 8, stride: int = 1) -> AttentionBias:
    """A bias whose table says its own distances: 100 * dy + dx."""
    bias = AttentionBias(1, grid, stride=stride, position=position)
    distance = torch.arange(float(grid))
    bias.table.data = (100 * distance[:, None] + distance)[None]
    return bias


def matrix(bias: AttentionBias, rows: int, columns: int) -> torch.Tensor:
    """The bias of the first head for every query and key, read two queries at a time."""
    places = bias(rows, columns)
    queries = -(-rows // bias.stride) * -(-columns // bias.stride)
    return torch.cat([places.read(picked)[0] for picked in torch.arange(queries).split(2)])


def meaning(rows: int, columns: int, stride: int = 1) -> torch.Tensor:
    """What such a table ought to give: 100 * |dy| + |dx| for every query and key, in row-major order."""
    y, x = torch.meshgrid(torch.arange(float(rows)), torch.arange(float(columns)), indexing="ij")
    qy, qx = y[::stride, ::stride].flatten(), x[::stride, ::stride].flatten()
    return 100 * (qy[:, None] - y.flatten()).abs() + (qx[:, None] - x.flatten()).abs()


@pytest.mark.parametrize("stride", [1, 2])
def test_both_positions_agree_on_the_trained_grid(stride):
    offsets, official = (matrix(bias_of(position, stride=stride), 8, 8) for position in ("offsets", "official"))

    torch.testing.assert_close(offsets, meaning(8, 8, stride), rtol=0, atol=1e-4)
    torch.testing.assert_close(official, offsets, rtol=0, atol=0)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("grid", [(4, 8), (2, 6), (5, 3), (1, 1)])
def test_offsets_keep_the_meaning_of_distances_in_an_image_that_is_not_square(grid, stride):
    given = matrix(bias_of("offsets", stride=stride), *grid)

    torch.testing.assert_close(given, meaning(*grid, stride), rtol=0, atol=1e-4)


def test_official_positions_scramble_distances_in_an_image_that_is_not_square():
    official = matrix(bias_of("official"), 4, 8)

    assert official.shape == (32, 32)
    assert (official - meaning(4, 8)).abs().max() > 100  # more than a whole row off


def test_a_longer_axis_stretches_the_table_from_nearest_to_farthest():
    bias = matrix(bias_of("offsets", grid=8), 15, 8)

    first_query = bias[0].reshape(15, 8)

    assert first_query[:, 0].tolist() == pytest.approx([50.0 * step for step in range(15)])
    assert first_query[0].tolist() == pytest.approx(list(range(8)))


def test_stretching_to_no_more_than_it_has_gives_the_table_itself():
    table = torch.randn(2, 6, 6)

    assert torch.equal(stretch(table, 4, axis=1), table[:, :4])
    assert torch.equal(stretch(table, 6, axis=2), table)
