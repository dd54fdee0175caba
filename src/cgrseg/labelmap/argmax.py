"""The label map band by band, compiled: few cells of the grid are looked into, and few classes in each.

    band of pixels between two grid rows -- cells whose four corners agree --> filled
        +-- the other cells, classes that can win in some of them -- at each row of pixels:
                (1) all these classes at the grid columns
                (2) the two columns' winners  --> pixels between the columns
                (3) the class that rises highest above their crossing, then all above its own crossings --> pixels

Between two neighbouring columns each class is a line over the pixels. The winner of the left column and the winner of
the right one form a V; a class can win a pixel only if its line passes above the V's lowest point, the crossing.
So the answer is the argmax over all classes, the lowest of equals, though few are ever evaluated at a pixel.

Numba compiles each function on its own and again inside its caller, and slices and allocations take it long. So one
function allocates the arrays and calls all others. Stored indices are unsigned: they need no code for negative ones.

Axes: k classes, h w grid rows and columns, r n rows and columns of pixels, c classes and m columns left in a band.
A cell has three numbers: its grid column, the first pixel behind it and the end of its pixels.
A pixel has two: how far it lies from one grid column to the next, and the value of the class that it has been given.
A crossing has three: its place in the cell, a value just under it, and the highest value of a third class there.
Classes left are numbered 0..c-1 in the order of their labels.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float32, Int32, Shaped, UInt32

from cgrseg.labelmap.compiling import compiled, part

ONE = np.float32(1)
MARGIN = np.float32(4e-6)
"""Relative slack of a crossing: a class this close below it is evaluated, so rounding drops none."""


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
    classes, height, width = logits.shape
    winners, cells = np.empty((2, width), np.uint32), np.empty((2 * width, 3), np.uint32)
    names, best = np.empty((1, classes), np.uint32)[0], np.empty((1, width), np.float32)[0]
    upper, lower, pixels = winners[0], winners[1], np.empty((2, share.size), np.float32)
    for pixel in range(share.size):
        pixels[0, pixel] = share[pixel]
    start = np.int64(0)
    for stop in range(1, row.size + 1):
        if stop < row.size and row[stop] == row[start]:
            continue
        top = np.int64(row[start])
        bottom = top + (top < height - 1)
        find_winners(logits, top, upper, best)
        find_winners(logits, bottom, lower, best)
        count = list_contested(winners, first, start, stop, labels, cells)
        above, below = np.empty((classes, count), np.float32), np.empty((classes, count), np.float32)
        gather(logits, top, cells, above)
        gather(logits, bottom, cells, below)
        winner, crossing = np.empty((2, count), np.uint32), np.empty((3, count), np.float32)
        chosen, third, offset, highest = winner[0], winner[1], crossing[0], crossing[2]
        line = np.empty((drop_losers(above, below, cells, offset, names), count), np.float32)
        for y in range(start, stop if count > 0 else start):
            drawn = labels[y]
            interpolate(above, below, row_share[y], line, chosen, offset)
            if draw_winners(line, chosen, cells, names, crossing, pixels, drawn):
                find_others(line, chosen, offset, third, highest)
                draw_others(line, winner, cells, names, crossing, pixels, drawn)
        start = stop


@part
@no_type_check
def find_winners(
    logits: Float32[np.ndarray, "k h w"], row: int, winner: UInt32[np.ndarray, " w"], best: Float32[np.ndarray, " w"]
) -> None:
    """The class that wins each point of a grid row, and its logit."""
    for x in range(winner.size):
        winner[x], best[x] = 0, logits[0, row, x]
    for label in range(1, logits.shape[0]):
        for x in range(winner.size):
            better = logits[label, row, x] > best[x]
            best[x] = logits[label, row, x] if better else best[x]
            winner[x] = label if better else winner[x]


@part
@no_type_check
def list_contested(
    winners: UInt32[np.ndarray, "2 w"],
    first: Int32[np.ndarray, " w+1"],
    start: int,
    stop: int,
    labels: Shaped[np.ndarray, "r n"],
    cells: UInt32[np.ndarray, "_ 3"],
) -> int:
    """Fill the cells whose corners agree; list the others, and say how many there are."""
    count, listed = 0, -1
    for x in range(first.size - 1):
        right, winner = x + (x < first.size - 2), winners[0, x]
        agrees = winner == winners[1, x] == winners[0, right] == winners[1, right]
        for y in range(start, stop if agrees else start):
            for pixel in range(first[x], first[x + 1]):
                labels[y, pixel] = winner
        if not agrees and first[x] < first[x + 1]:
            count -= listed == x  # the column is there, as the end of the cell before
            cells[count, 0], cells[count, 1], cells[count, 2] = x, first[x], first[x + 1]
            cells[count + 1, 0], cells[count + 1, 1], cells[count + 1, 2] = right, 0, 0
            count, listed = count + 2, x + 1
    return count


@part
@no_type_check
def gather(
    logits: Float32[np.ndarray, "k h w"], row: int, cells: UInt32[np.ndarray, "_ 3"], picked: Float32[np.ndarray, "k m"]
) -> None:
    """The columns of some cells of a grid row."""
    for label in range(picked.shape[0]):
        for i in range(picked.shape[1]):
            picked[label, i] = logits[label, row, cells[i, 0]]


@part
@no_type_check
def drop_losers(
    above: Float32[np.ndarray, "k m"],
    below: Float32[np.ndarray, "k m"],
    cells: UInt32[np.ndarray, "_ 3"],
    floor: Float32[np.ndarray, " m"],
    names: UInt32[np.ndarray, " k"],
) -> int:
    """Keep the classes that reach, at some corner of some cell, what another class keeps at all four; how many."""
    for i in range(floor.size):
        floor[i] = -np.inf
    for label in range(above.shape[0]):
        for i in range(floor.size - 1):
            lowest = min(above[label, i], above[label, i + 1], below[label, i], below[label, i + 1])
            floor[i] = max(floor[i], lowest)
    for i in range(floor.size):
        floor[i] = floor[i] if cells[i, 1] < cells[i, 2] else np.inf
    count = 0
    for label in range(above.shape[0]):
        reached = 0
        for i in range(floor.size - 1):
            highest = max(above[label, i], above[label, i + 1], below[label, i], below[label, i + 1])
            reached += highest >= floor[i]
        if reached:
            names[count] = label
            for i in range(floor.size if count < label else 0):
                above[count, i], below[count, i] = above[label, i], below[label, i]
            count += 1
    return count


@part
@no_type_check
def interpolate(
    above: Float32[np.ndarray, "k m"],
    below: Float32[np.ndarray, "k m"],
    share: float,
    line: Float32[np.ndarray, "c m"],
    winner: UInt32[np.ndarray, " m"],
    best: Float32[np.ndarray, " m"],
) -> None:
    """The classes at the columns of one row of pixels, which of them wins each, and its value."""
    for i in range(winner.size):
        winner[i], best[i] = 0, -np.inf
    for label in range(line.shape[0]):
        for i in range(winner.size):
            here = between(above[label, i], below[label, i], share)
            line[label, i] = here
            better = here > best[i]
            best[i] = here if better else best[i]
            winner[i] = label if better else winner[i]


@part
@no_type_check
def between(left: float, right: float, share: float) -> float:
    """The value on a line, `share` of the way from left to right."""
    return left * (ONE - share) + right * share


@part
@no_type_check
def draw_winners(
    line: Float32[np.ndarray, "c m"],
    winner: UInt32[np.ndarray, " m"],
    cells: UInt32[np.ndarray, "_ 3"],
    names: UInt32[np.ndarray, " k"],
    crossing: Float32[np.ndarray, "3 m"],
    pixels: Float32[np.ndarray, "2 n"],
    labels: Shaped[np.ndarray, " n"],
) -> bool:
    """Give each pixel the upper of its columns' winners, and find their crossings; whether there are any."""
    crossed = False
    for i in range(winner.size - 1):
        low, high = winner[i], winner[i + 1]
        if low > high:
            low, high = high, low
        for pixel in range(cells[i, 1], cells[i, 2]):
            one = between(line[low, i], line[low, i + 1], pixels[0, pixel])
            two = between(line[high, i], line[high, i + 1], pixels[0, pixel])
            pixels[1, pixel] = max(one, two)
            labels[pixel] = names[high] if two > one else names[low]
        crossing[0, i], crossing[1, i] = 0, np.inf
        if low != high and cells[i, 1] < cells[i, 2]:
            crossing[0, i], crossing[1, i] = meet(line, i, low, high)
            crossed = True
    return crossed


@part
@no_type_check
def meet(line: Float32[np.ndarray, "c m"], i: int, one: int, two: int) -> tuple[float, float]:
    """Where the lines of two classes cross in a cell, as a share of the way, and a value just under theirs there."""
    left, right = (line[one, i], line[two, i]), (line[one, i + 1], line[two, i + 1])
    ahead, behind = abs(left[0] - left[1]), abs(right[0] - right[1])
    share = ahead / (ahead + behind) if ahead + behind > 0 else np.float32(0)
    slack = MARGIN * (abs(left[0]) + abs(right[0]) + abs(left[1]) + abs(right[1]))
    return share, between(left[0], right[0], share) - slack


@part
@no_type_check
def find_others(
    line: Float32[np.ndarray, "c m"],
    winner: UInt32[np.ndarray, " m"],
    share: Float32[np.ndarray, " m"],
    third: UInt32[np.ndarray, " m"],
    best: Float32[np.ndarray, " m"],
) -> None:
    """Of the classes but the columns' winners, the highest at one place of each cell, and its value there."""
    for i in range(winner.size):
        third[i], best[i] = 0, -np.inf
    for label in range(line.shape[0]):
        for i in range(winner.size - 1):
            here = between(line[label, i], line[label, i + 1], share[i])
            better = (here > best[i]) & (label != winner[i]) & (label != winner[i + 1])
            best[i] = here if better else best[i]
            third[i] = label if better else third[i]


@part
@no_type_check
def draw_others(
    line: Float32[np.ndarray, "c m"],
    winner: UInt32[np.ndarray, "2 m"],
    cells: UInt32[np.ndarray, "_ 3"],
    names: UInt32[np.ndarray, " k"],
    crossing: Float32[np.ndarray, "3 m"],
    pixels: Float32[np.ndarray, "2 n"],
    labels: Shaped[np.ndarray, " n"],
) -> None:
    """Give the classes above a crossing the pixels that they win."""
    for i in range(winner.shape[1] - 1):
        if crossing[2, i] < crossing[1, i]:
            continue
        left, right, third = winner[0, i], winner[0, i + 1], winner[1, i]
        raise_class(line, i, third, cells, names, pixels, labels)
        one = two = (crossing[0, i], crossing[1, i])
        if crossing[2, i] > between(line[left, i], line[left, i + 1], crossing[0, i]):
            one, two = meet(line, i, left, third), meet(line, i, third, right)
        for label in range(line.shape[0]):
            above = between(line[label, i], line[label, i + 1], one[0]) >= one[1]
            above |= between(line[label, i], line[label, i + 1], two[0]) >= two[1]
            if above and not ((label == left) | (label == right) | (label == third)):
                raise_class(line, i, np.uint32(label), cells, names, pixels, labels)


@part
@no_type_check
def raise_class(
    line: Float32[np.ndarray, "c m"],
    i: int,
    label: int,
    cells: UInt32[np.ndarray, "_ 3"],
    names: UInt32[np.ndarray, " k"],
    pixels: Float32[np.ndarray, "2 n"],
    labels: Shaped[np.ndarray, " n"],
) -> None:
    """Give one class the pixels of a cell that it wins."""
    left, right, name = line[label, i], line[label, i + 1], names[label]
    for pixel in range(cells[i, 1], cells[i, 2]):
        here = between(left, right, pixels[0, pixel])
        if here > pixels[1, pixel] or (here == pixels[1, pixel] and name < labels[pixel]):
            pixels[1, pixel] = here
            labels[pixel] = name
