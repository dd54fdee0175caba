"""The label map band by band, compiled: few cells of the grid are looked into, and few classes in each.

    band of pixels between two grid rows -- cells whose four corners agree --> filled
        +-- the other cells, classes that can win in some of them -- at each row of pixels:
                (1) all these classes at the grid columns
                (2) the two columns' winners  --> pixels between the columns
                (3) the class that rises highest above their crossing, then all above its own crossings --> pixels

Between two neighbouring columns each class is a line over the pixels. The winner of the left column and the winner of
the right one form a V; a class can win a pixel only if its line passes above the V's lowest point, the crossing.
So the answer is the argmax over all classes, the lowest of equals, though few are ever evaluated at a pixel.

Axes: k classes, h w grid rows and columns, r n rows and columns of pixels, c classes and m columns left in a band.
A table of cells has three rows: the grid column, the first pixel of the cell behind it and the end of its pixels.
Classes left are numbered 0..c-1 in the order of their labels.
"""

from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Float32, Int32, Shaped

from cgrseg.labeling.compiling import compiled  # and no compiled code of another file: the cache would miss its changes

ONE = np.float32(1)
MARGIN = np.float32(4e-6)
"""Relative slack of a crossing: a class this close below it is evaluated, so rounding drops none."""


@no_type_check
class Band(NamedTuple):
    """What is looked at between two grid rows."""

    cells: Int32[np.ndarray, "3 m"]
    names: Int32[np.ndarray, " c"]
    """The labels of the classes left."""
    share: Float32[np.ndarray, " n"]
    """How far each pixel lies from one grid column to the next."""


@compiled
@no_type_check
def label_rows(
    logits: Float32[np.ndarray, "k h w"],
    row: Int32[np.ndarray, " r"],
    row_share: Float32[np.ndarray, " r"],
    first: Int32[np.ndarray, " w+1"],
    share: Float32[np.ndarray, " n"],
    labels: Shaped[np.ndarray, "r n"],
) -> None:
    """Fill `labels`.

    A pixel lies `row_share` of the way from grid row `row` to the next, and `share` of the way between two columns;
    the pixels behind grid column x begin at `first[x]`.
    """
    start = 0
    for stop in range(1, row.size + 1):
        if stop == row.size or row[stop] != row[start]:
            band = slice(start, stop)
            label_band(logits, row[start], row_share[band], first, share, labels[band])
            start = stop


@compiled
@no_type_check
def label_band(
    logits: Float32[np.ndarray, "k h w"],
    row: int,
    row_share: Float32[np.ndarray, " r"],
    first: Int32[np.ndarray, " w+1"],
    share: Float32[np.ndarray, " n"],
    labels: Shaped[np.ndarray, "r n"],
) -> None:
    """Fill the rows of pixels between one grid row and the next."""
    below = min(row + 1, logits.shape[1] - 1)
    cells = list_contested(column_winners(logits, row), column_winners(logits, below), first, labels)
    ends = gather(logits, row, cells[0]), gather(logits, below, cells[0])
    names = np.flatnonzero(can_win(ends[0], ends[1], cells)).astype(np.int32)
    ends, band = (ends[0][names], ends[1][names]), Band(cells, names, share)
    line, winner = np.empty(ends[0].shape, np.float32), np.empty(cells.shape[1], np.int32)
    value = np.empty(share.size, np.float32)
    for y in range(row_share.size if cells.shape[1] else 0):
        interpolate(ends[0], ends[1], row_share[y], line, winner)
        crossing = draw_winners(line, winner, band, labels[y], value)
        if crossing[1].min() < np.inf:
            draw_others(line, winner, crossing, band, labels[y], value)


@compiled
@no_type_check
def column_winners(logits: Float32[np.ndarray, "k h w"], row: int) -> Int32[np.ndarray, " w"]:
    """The class that wins each point of a grid row."""
    winner, best = np.zeros(logits.shape[2], np.int32), logits[0, row].copy()
    for label in range(1, logits.shape[0]):
        for x in range(winner.size):
            better = logits[label, row, x] > best[x]
            best[x] = logits[label, row, x] if better else best[x]
            winner[x] = label if better else winner[x]
    return winner


@compiled
@no_type_check
def list_contested(
    above: Int32[np.ndarray, " w"],
    below: Int32[np.ndarray, " w"],
    first: Int32[np.ndarray, " w+1"],
    labels: Shaped[np.ndarray, "r n"],
) -> Int32[np.ndarray, "3 m"]:
    """Fill the cells whose corners agree; a table of the others."""
    cells = np.zeros((3, 2 * above.size), np.int32)
    count, listed = 0, -1
    for x in range(above.size):
        right = min(x + 1, above.size - 1)
        if above[x] == below[x] == above[right] == below[right]:
            labels[:, first[x] : first[x + 1]] = above[x]
        elif first[x] < first[x + 1]:
            count -= listed == x  # the column is there, as the end of the cell before
            cells[0, count], cells[1, count], cells[2, count] = x, first[x], first[x + 1]
            cells[0, count + 1] = right
            count, listed = count + 2, x + 1
    return cells[:, :count].copy()


@compiled
@no_type_check
def gather(
    logits: Float32[np.ndarray, "k h w"], row: int, columns: Int32[np.ndarray, " m"]
) -> Float32[np.ndarray, "k m"]:
    """Some columns of a grid row."""
    picked = np.empty((logits.shape[0], columns.size), np.float32)
    for label in range(picked.shape[0]):
        for i in range(columns.size):
            picked[label, i] = logits[label, row, columns[i]]
    return picked


@compiled
@no_type_check
def can_win(
    above: Float32[np.ndarray, "k m"], below: Float32[np.ndarray, "k m"], cells: Int32[np.ndarray, "3 m"]
) -> Bool[np.ndarray, " k"]:
    """Which classes reach, at some corner of some cell, what another class keeps at all four."""
    count = cells.shape[1] - 1
    floor, left = np.full(max(count, 0), -np.inf, np.float32), np.zeros(above.shape[0], np.bool_)
    for label in range(above.shape[0]):
        for i in range(count):
            lowest = min(above[label, i], above[label, i + 1], below[label, i], below[label, i + 1])
            floor[i] = max(floor[i], lowest)
    for i in range(count):
        floor[i] = floor[i] if cells[1, i] < cells[2, i] else np.inf
    for label in range(above.shape[0]):
        reached = 0
        for i in range(count):
            highest = max(above[label, i], above[label, i + 1], below[label, i], below[label, i + 1])
            reached += highest >= floor[i]
        left[label] = reached > 0
    return left


@compiled
@no_type_check
def interpolate(
    above: Float32[np.ndarray, "c m"],
    below: Float32[np.ndarray, "c m"],
    share: float,
    line: Float32[np.ndarray, "c m"],
    winner: Int32[np.ndarray, " m"],
) -> None:
    """The classes at the columns of one row of pixels, and which of them wins each."""
    best = np.full(winner.size, -np.inf, np.float32)
    winner[:] = 0
    for label in range(line.shape[0]):
        for i in range(winner.size):
            here = above[label, i] * (ONE - share) + below[label, i] * share
            line[label, i] = here
            better = here > best[i]
            best[i] = here if better else best[i]
            winner[i] = label if better else winner[i]


@compiled
@no_type_check
def between(left: float, right: float, share: float) -> float:
    """The value on a line, `share` of the way from left to right."""
    return left * (ONE - share) + right * share


@compiled
@no_type_check
def draw_winners(
    line: Float32[np.ndarray, "c m"],
    winner: Int32[np.ndarray, " m"],
    band: Band,
    labels: Shaped[np.ndarray, " n"],
    value: Float32[np.ndarray, " n"],
) -> Float32[np.ndarray, "2 m"]:
    """Give each pixel the upper of its columns' winners; where these cross in each cell (a share), and just under."""
    crossing = np.zeros((2, winner.size), np.float32)
    crossing[1] = np.inf
    for i in range(winner.size - 1):
        low, high = min(winner[i], winner[i + 1]), max(winner[i], winner[i + 1])
        for pixel in range(band.cells[1, i], band.cells[2, i]):
            one = between(line[low, i], line[low, i + 1], band.share[pixel])
            two = between(line[high, i], line[high, i + 1], band.share[pixel])
            value[pixel] = max(one, two)
            labels[pixel] = band.names[high] if two > one else band.names[low]
        if low != high and band.cells[1, i] < band.cells[2, i]:
            crossing[0, i], crossing[1, i] = meet(line[:, i], line[:, i + 1], low, high)
    return crossing


@compiled
@no_type_check
def meet(left: Float32[np.ndarray, " c"], right: Float32[np.ndarray, " c"], one: int, two: int) -> tuple[float, float]:
    """Where the lines of two classes cross, as a share of the way, and a value just under theirs there."""
    ahead, behind = abs(left[one] - left[two]), abs(right[one] - right[two])
    share = ahead / (ahead + behind) if ahead + behind > 0 else np.float32(0)
    slack = MARGIN * (abs(left[one]) + abs(right[one]) + abs(left[two]) + abs(right[two]))
    return share, between(left[one], right[one], share) - slack


@compiled
@no_type_check
def highest_others(
    line: Float32[np.ndarray, "c m"], winner: Int32[np.ndarray, " m"], share: Float32[np.ndarray, " m"]
) -> tuple[Int32[np.ndarray, " m"], Float32[np.ndarray, " m"]]:
    """Of the classes but the columns' winners, the highest at one place of each cell, and its value there."""
    third, best = np.zeros(winner.size, np.int32), np.full(winner.size, -np.inf, np.float32)
    for label in range(line.shape[0]):
        for i in range(winner.size - 1):
            here = between(line[label, i], line[label, i + 1], share[i])
            better = (here > best[i]) & (label != winner[i]) & (label != winner[i + 1])
            best[i] = here if better else best[i]
            third[i] = label if better else third[i]
    return third, best


@compiled
@no_type_check
def draw_others(
    line: Float32[np.ndarray, "c m"],
    winner: Int32[np.ndarray, " m"],
    crossing: Float32[np.ndarray, "2 m"],
    band: Band,
    labels: Shaped[np.ndarray, " n"],
    value: Float32[np.ndarray, " n"],
) -> None:
    """Give the classes above a crossing the pixels that they win."""
    third, best = highest_others(line, winner, crossing[0])
    for i in range(winner.size - 1):
        if best[i] < crossing[1, i]:
            continue
        left, right, pixels = line[:, i], line[:, i + 1], slice(band.cells[1, i], band.cells[2, i])
        known, out = (winner[i], winner[i + 1], third[i]), (band.share[pixels], labels[pixels], value[pixels])
        raise_class(band.names[third[i]], left[third[i]], right[third[i]], out)
        one = two = (crossing[0, i], crossing[1, i])
        if best[i] > between(left[winner[i]], right[winner[i]], crossing[0, i]):
            one, two = meet(left, right, winner[i], third[i]), meet(left, right, third[i], winner[i + 1])
        for label in range(band.names.size):
            above = between(left[label], right[label], one[0]) >= one[1]
            above |= between(left[label], right[label], two[0]) >= two[1]
            if above and label not in known:
                raise_class(band.names[label], left[label], right[label], out)


@compiled
@no_type_check
def raise_class(
    name: int,
    left: float,
    right: float,
    pixels: tuple[Float32[np.ndarray, " n"], Shaped[np.ndarray, " n"], Float32[np.ndarray, " n"]],
) -> None:
    """Give one class the pixels of a cell that it wins; their shares, labels and values."""
    share, labels, value = pixels
    for pixel in range(share.size):
        here = between(left, right, share[pixel])
        if here > value[pixel] or (here == value[pixel] and name < labels[pixel]):
            value[pixel] = here
            labels[pixel] = name
