"""The label map band by band, compiled: few cells of the grid are looked into, and few classes in each.

    band of pixels between two grid rows -- cells whose four corners agree --> filled
                 +-- the others, at each row of pixels: (1) all classes at the grid columns
                                                        (2) the two columns' winners' lines --> pixels
                                                        (3) lines above their crossing     --> pixels

Between two neighbouring columns each class is a line over the pixels. The winner of the left column and the winner of
the right one form a V; a class can win a pixel only if its line passes above the V's lowest point, the crossing.
So the answer is the argmax over all classes, the lowest of equals, though few are ever evaluated at a pixel.

Axes: k classes, h w grid rows and columns, r n rows and columns of pixels, m columns looked at in a band.
A table of cells has three rows: the grid column, the first pixel of the cell behind it and the end of its pixels.
"""

from collections.abc import Callable
from typing import no_type_check

import numpy as np
from jaxtyping import Float32, Int32, Shaped
from numba import njit

ONE = np.float32(1)
MARGIN = np.float32(4e-6)
"""Relative slack of the crossing: a class this close below it is evaluated, so rounding drops none."""
LOG2_E = np.float32(1.4426950408889634)
ROUNDER = np.float32(1.5 * 2**23)
"""Added to a small number, it leaves no bits for a fraction: the sum is rounded to a whole number."""
C0, C1, C2 = np.float32(1.0000000717), np.float32(0.693146967), np.float32(0.2402211972)
C3, C4, C5 = np.float32(0.0555071334), np.float32(0.0096755415), np.float32(0.0013276452)


def compiled(function: Callable) -> Callable:
    """The function in machine code, kept for the next process where there is a folder to write to."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no such folder
        return njit(nogil=True, error_model="numpy")(function)


@compiled
@no_type_check
def label_rows(
    logits: Float32[np.ndarray, "k h w"],
    row: Int32[np.ndarray, " r"],
    row_share: Float32[np.ndarray, " r"],
    first: Int32[np.ndarray, " w+1"],
    share: Float32[np.ndarray, " n"],
    labels: Shaped[np.ndarray, "r n"],
    confidence: Float32[np.ndarray, "r n"] | Float32[np.ndarray, "0 0"],
):
    """Fill `labels` and, unless it is empty, `confidence`.

    A pixel lies `row_share` of the way from grid row `row` to the next, and `share` of the way between two columns;
    the pixels behind grid column x begin at `first[x]`.
    """
    start = 0
    for stop in range(1, row.size + 1):
        if stop == row.size or row[stop] != row[start]:
            band = slice(start, stop)
            label_band(logits, row[start], row_share[band], first, share, labels[band], confidence[band])
            start = stop


@compiled
@no_type_check
def label_band(logits, row, row_share, first, share, labels, confidence):
    """The rows of pixels between one grid row and the next."""
    below = min(row + 1, logits.shape[1] - 1)
    cells = np.empty((3, 2 * logits.shape[2]), np.int32)
    if confidence.size:
        count = list_all(first, cells)
    else:
        count = list_contested(column_winners(logits, row), column_winners(logits, below), first, cells, labels)
    cells = cells[:, :count].copy()
    ends = gather(logits, row, cells), gather(logits, below, cells)
    line, winner = np.empty((logits.shape[0], count), np.float32), np.empty(count, np.int32)
    crossing, value = np.empty((2, count), np.float32), np.empty(share.size, np.float32)
    for y in range(row_share.size if count else 0):
        interpolate(ends[0], ends[1], row_share[y], line, winner)
        if draw_winners(line, winner, cells, share, labels[y], value, crossing):
            raise_others(line, cells, share, labels[y], value, crossing)
        if confidence.size:
            weigh(line, cells, share, value, confidence[y])


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
def list_all(first: Int32[np.ndarray, " w+1"], cells: Int32[np.ndarray, "3 m"]) -> int:
    """Put every cell into the table; how many columns it has now."""
    width = first.size - 1
    for x in range(width):
        cells[0, x], cells[1, x], cells[2, x] = x, first[x], first[x + 1]
    cells[0, width], cells[1, width], cells[2, width] = width - 1, 0, 0
    return width + 1


@compiled
@no_type_check
def list_contested(
    above: Int32[np.ndarray, " w"],
    below: Int32[np.ndarray, " w"],
    first: Int32[np.ndarray, " w+1"],
    cells: Int32[np.ndarray, "3 m"],
    labels: Shaped[np.ndarray, "r n"],
) -> int:
    """Fill the cells whose corners agree, put the others into the table; how many columns it has now."""
    count, listed = 0, -1
    for x in range(above.size):
        right = min(x + 1, above.size - 1)
        if above[x] == below[x] == above[right] == below[right]:
            labels[:, first[x] : first[x + 1]] = above[x]
        elif first[x] < first[x + 1]:
            count -= listed == x
            cells[0, count], cells[1, count], cells[2, count] = x, first[x], first[x + 1]
            cells[0, count + 1], cells[1, count + 1], cells[2, count + 1] = right, 0, 0
            count, listed = count + 2, x + 1
    return count


@compiled
@no_type_check
def gather(
    logits: Float32[np.ndarray, "k h w"], row: int, cells: Int32[np.ndarray, "3 m"]
) -> Float32[np.ndarray, "k m"]:
    """The columns of a table, of one grid row."""
    columns = np.empty((logits.shape[0], cells.shape[1]), np.float32)
    for label in range(columns.shape[0]):
        for i in range(columns.shape[1]):
            columns[label, i] = logits[label, row, cells[0, i]]
    return columns


@compiled
@no_type_check
def interpolate(
    above: Float32[np.ndarray, "k m"],
    below: Float32[np.ndarray, "k m"],
    share: float,
    line: Float32[np.ndarray, "k m"],
    winner: Int32[np.ndarray, " m"],
):
    """All classes at the columns of one row of pixels, and the class that wins each."""
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
    line: Float32[np.ndarray, "k m"],
    winner: Int32[np.ndarray, " m"],
    cells: Int32[np.ndarray, "3 m"],
    share: Float32[np.ndarray, " n"],
    labels: Shaped[np.ndarray, " n"],
    value: Float32[np.ndarray, " n"],
    crossing: Float32[np.ndarray, "2 m"],
) -> bool:
    """Give each pixel the upper of its columns' winners and its value; whether any cell has two, and where they meet."""
    contested = False
    crossing[0], crossing[1] = 0, np.inf
    for i in range(winner.size - 1):
        low, high = min(winner[i], winner[i + 1]), max(winner[i], winner[i + 1])
        for pixel in range(cells[1, i], cells[2, i]):
            one = between(line[low, i], line[low, i + 1], share[pixel])
            two = between(line[high, i], line[high, i + 1], share[pixel])
            value[pixel] = max(one, two)
            labels[pixel] = high if two > one else low
        if low != high and cells[1, i] < cells[2, i]:
            crossing[0, i], crossing[1, i] = meet(line[low, i], line[low, i + 1], line[high, i], line[high, i + 1])
            contested = True
    return contested


@compiled
@no_type_check
def meet(left: float, right: float, other_left: float, other_right: float):
    """Where two lines cross, as a share of the way, and a value just under theirs there."""
    ahead, behind = abs(left - other_left), abs(right - other_right)
    share = ahead / (ahead + behind) if ahead + behind > 0 else np.float32(0)
    slack = MARGIN * (abs(left) + abs(right) + abs(other_left) + abs(other_right))
    return share, between(left, right, share) - slack


@compiled
@no_type_check
def raise_others(
    line: Float32[np.ndarray, "k m"],
    cells: Int32[np.ndarray, "3 m"],
    share: Float32[np.ndarray, " n"],
    labels: Shaped[np.ndarray, " n"],
    value: Float32[np.ndarray, " n"],
    crossing: Float32[np.ndarray, "2 m"],
):
    """Give the classes whose line passes above a crossing the pixels that they win."""
    passes = np.empty(cells.shape[1] - 1, np.uint8)
    for label in range(line.shape[0]):
        count = 0
        for i in range(passes.size):
            passes[i] = between(line[label, i], line[label, i + 1], crossing[0, i]) >= crossing[1, i]
            count += passes[i]
        for i in range(passes.size if count else 0):
            if passes[i]:
                pixels = slice(cells[1, i], cells[2, i])
                raise_class(label, line[label, i], line[label, i + 1], share[pixels], labels[pixels], value[pixels])


@compiled
@no_type_check
def raise_class(label, left, right, share, labels, value):
    """Give one class the pixels of a cell that it wins."""
    for pixel in range(share.size):
        here = between(left, right, share[pixel])
        if here > value[pixel] or (here == value[pixel] and label < labels[pixel]):
            value[pixel] = here
            labels[pixel] = label


@compiled
@no_type_check
def weigh(
    line: Float32[np.ndarray, "k m"],
    cells: Int32[np.ndarray, "3 m"],
    share: Float32[np.ndarray, " n"],
    value: Float32[np.ndarray, " n"],
    confidence: Float32[np.ndarray, " n"],
):
    """The softmax probability of each pixel's winner; the j-th pixels of all cells are worked on side by side."""
    longest, count = (cells[2] - cells[1]).max(), cells.shape[1] - 1
    total, place, top = np.zeros((3, longest, count), np.float32)
    for i in range(count):
        for j in range(cells[2, i] - cells[1, i]):
            place[j, i], top[j, i] = share[cells[1, i] + j], value[cells[1, i] + j]
    for label in range(line.shape[0]):
        for j in range(longest):
            for i in range(count):
                total[j, i] += exp(between(line[label, i], line[label, i + 1], place[j, i]) - top[j, i])
    for i in range(count):
        for j in range(cells[2, i] - cells[1, i]):
            confidence[cells[1, i] + j] = ONE / total[j, i]


@compiled
@no_type_check
def exp(x: float) -> float:
    """e to a power of at most about 0, within 3e-7 of it: 2 to the whole part by its bits, to the rest by a polynomial."""
    power = max(x * LOG2_E, np.float32(-120))
    rounded = np.float32(power + ROUNDER)
    rest = power - (rounded - ROUNDER)
    scale = np.float32(((((C5 * rest + C4) * rest + C3) * rest + C2) * rest + C1) * rest + C0)
    return np.int32(scale.view(np.int32) + (rounded.view(np.int32) << np.int32(23))).view(np.float32)
