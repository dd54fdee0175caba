"""The softmax of the upsampled logits at each pixel's winner, compiled.

    logits -- less the largest at each grid point --> heights
        -- each class, each cell: 2 to its height at one pixel, and the factors to the next column and row of pixels
        -- products of these --> weight of the class at each pixel --> sum and largest --> largest / sum

Between four grid points the height of a class is bilinear, so its weight is a geometric progression along every row of
pixels and down every column: four powers serve up to 64 pixels. Every class counts: those of a trained network lie too
close together to leave any out. Where heights differ so much that a weight is rounded to nothing on the way, the powers
are taken pixel by pixel against the pixel's own winner, by a function of its own: few images need it.

Axes: k classes, h w grid rows and columns, m columns of a grid whose edges are repeated once, wide the cells between
those filled up to whole registers, r n rows and columns of pixels, i j those of a patch.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float32, Int32

from cgrseg.labelmap.compiling import compiled, part

LANES = 16
"""Numbers in the widest vector register."""
REACH = 8
"""Most pixels from the first of a progression to its end; the rounding of a factor grows with each."""
STEEP = np.float32(-90)
"""Heights below this (62 nats) may vanish on the way."""
ONE = np.float32(1)
LOG2_E = np.float32(1.4426950408889634)
ROUNDER = np.float32(1.5 * 2**23)
"""Added to a small number, it leaves no bits for a fraction: the sum is rounded to a whole number."""
MOST = np.float32(120)
"""Exponents stay within what the bits of a float can tell."""
C0, C1, C2 = np.float32(1.0000000717), np.float32(0.693146967), np.float32(0.2402211972)
C3, C4, C5 = np.float32(0.0555071334), np.float32(0.0096755415), np.float32(0.0013276452)


@compiled
@no_type_check
def weigh_rows(
    logits: Float32[np.ndarray, "k h w"],
    row: Int32[np.ndarray, " r"],
    row_share: Float32[np.ndarray, " r"],
    first: Int32[np.ndarray, " m"],
    share: Float32[np.ndarray, " n"],
    pitch: Float32[np.ndarray, " 2"],
    confidence: Float32[np.ndarray, "r n"],
) -> int:
    """Fill `confidence`; rows of pixels that are too steep only begin with a 0 then. How many these are.

    A pixel lies `row_share` of the way from row `row` to the next of the grid with its edges repeated, and `share` of
    the way between two columns; the pixels behind column x begin at `first[x]`, one every `pitch` of a cell.
    """
    classes, wide = logits.shape[0], -(-(first.size - 1) // LANES) * LANES
    above, below = np.zeros((classes, wide + 1), np.float32), np.zeros((classes, wide + 1), np.float32)
    steps, offset = np.zeros((5, wide), np.float32), np.zeros((1, wide), np.float32)
    longest, start, steep = most_pixels(first), 0, 0
    along = even_part(longest)
    patches = -(-longest // along)
    for stop in range(1, row.size + 1):
        if stop < row.size and row[stop] == row[start]:
            continue
        bottom, down = np.int64(row[start]), even_part(stop - start)
        if min(find_heights(logits, bottom - 1, above, steps), find_heights(logits, bottom, below, steps)) < STEEP:
            for y in range(start, stop):
                confidence[y, 0] = 0
            steep, start = steep + stop - start, stop
        for patch in range(-(-(stop - start) // down) * patches):
            y, j = start + patch // patches * down, patch % patches * along
            shape = min(down, stop - y), min(along, longest - j), wide
            total, best = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
            find_offsets(share, first, j, offset[0])
            for label in range(classes):
                list_steps(above[label], below[label], row_share[y], offset[0], pitch, steps)
                add_weights(steps, total, best)
            write(total, best, first, j, confidence[y:stop])
        start = stop
    return steep


@compiled
@no_type_check
def weigh_steep_rows(
    logits: Float32[np.ndarray, "k h w"],
    row: Int32[np.ndarray, " r"],
    row_share: Float32[np.ndarray, " r"],
    first: Int32[np.ndarray, " m"],
    share: Float32[np.ndarray, " n"],
    confidence: Float32[np.ndarray, "r n"],
) -> None:
    """Fill the rows of pixels that begin with a 0, whatever the heights."""
    classes, wide = logits.shape[0], -(-(first.size - 1) // LANES) * LANES
    above, below = np.zeros((classes, wide + 1), np.float32), np.zeros((classes, wide + 1), np.float32)
    line, steps = np.empty(above.shape, np.float32), np.zeros((3, wide), np.float32)
    total, best = np.empty((1, 1, wide), np.float32), np.ones((1, 1, wide), np.float32)
    longest, bottom = most_pixels(first), np.int64(-1)
    for y in range(row.size):
        if confidence[y, 0] > 0:
            continue
        if row[y] != bottom:
            bottom = np.int64(row[y])
            find_heights(logits, bottom - 1, above, steps)
            find_heights(logits, bottom, below, steps)
        mix(above, below, row_share[y], line)
        for j in range(longest):
            find_offsets(share, first, j, steps[0])
            sum_powers(line, steps[0], steps[1], total[0, 0])
            write(total, best, first, j, confidence[y : y + 1])


@part
@no_type_check
def find_heights(
    logits: Float32[np.ndarray, "k h w"],
    row: int,
    line: Float32[np.ndarray, "k wide+1"],
    scratch: Float32[np.ndarray, "_ wide"],
) -> float:
    """A grid row below its winners, in powers of 2, its edges repeated; the lowest of them.

    Rows beyond the grid are those at its edge.
    """
    width, row = logits.shape[2], min(max(row, 0), logits.shape[1] - 1)
    best, least = scratch[0], scratch[1]
    for x in range(width):
        best[x], least[x] = logits[0, row, x], 0
    for label in range(1, line.shape[0]):
        for x in range(width):
            best[x] = max(best[x], logits[label, row, x])
    for label in range(line.shape[0]):
        for x in range(width):
            height = (logits[label, row, x] - best[x]) * LOG2_E
            line[label, x + 1] = height
            least[x] = min(least[x], height)
        line[label, 0], line[label, width + 1] = line[label, 1], line[label, width]
    lowest = np.float32(0)
    for x in range(width):
        lowest = min(lowest, least[x])
    return lowest


@part
@no_type_check
def even_part(pixels: int) -> int:
    """The size of parts within reach that share so many pixels evenly."""
    return -(-pixels // -(-pixels // REACH))


@part
@no_type_check
def list_steps(
    above: Float32[np.ndarray, " wide+1"],
    below: Float32[np.ndarray, " wide+1"],
    row_share: float,
    offset: Float32[np.ndarray, " wide"],
    pitch: Float32[np.ndarray, " 2"],
    steps: Float32[np.ndarray, "5 wide"],
) -> None:
    """A class's weight at the first pixel of each patch; the factors per row and column, and from one to the next."""
    down, along = pitch[0], pitch[1]
    for x in range(offset.size):
        rise, twist = above[x + 1] - above[x], (below[x + 1] - below[x]) - (above[x + 1] - above[x])
        top, fall = above[x] + rise * offset[x], (below[x] - above[x]) + twist * offset[x]
        steps[0, x] = power_of_2(top + fall * row_share)
        steps[1, x] = power_of_2(fall * down)
        steps[2, x] = power_of_2((rise + twist * row_share) * along)
        steps[3, x] = power_of_2(twist * along * down)


@part
@no_type_check
def add_weights(
    steps: Float32[np.ndarray, "5 wide"], total: Float32[np.ndarray, "i j wide"], best: Float32[np.ndarray, "i j wide"]
) -> None:
    """Add what one class weighs at the pixels of all patches, and keep the largest weight; `steps` are used up."""
    down, along, twist, weight = steps[1], steps[2], steps[3], steps[4]
    for j in range(total.shape[1]):
        for x in range(weight.size):
            weight[x] = steps[0, x]
        for i in range(total.shape[0]):
            for x in range(weight.size):
                total[i, j, x] += weight[x]
                best[i, j, x] = max(best[i, j, x], weight[x])
                weight[x] *= down[x]
        for x in range(weight.size):
            steps[0, x] *= along[x]
            down[x] *= twist[x]


@part
@no_type_check
def write(
    total: Float32[np.ndarray, "i j wide"],
    best: Float32[np.ndarray, "i j wide"],
    first: Int32[np.ndarray, " m"],
    start: int,
    confidence: Float32[np.ndarray, "i n"],
) -> None:
    """Put the pixels of all patches, which begin `start` pixels behind their columns, in their places."""
    for i in range(total.shape[0]):
        for x in range(first.size - 1):
            begin = first[x] + start
            for j in range(min(total.shape[1], first[x + 1] - begin)):
                confidence[i, begin + j] = best[i, j, x] / total[i, j, x]


@part
@no_type_check
def most_pixels(first: Int32[np.ndarray, " m"]) -> int:
    """The pixels of the widest cell."""
    most = 0
    for x in range(first.size - 1):
        most = max(most, first[x + 1] - first[x])
    return most


@part
@no_type_check
def find_offsets(
    share: Float32[np.ndarray, " n"], first: Int32[np.ndarray, " m"], start: int, offset: Float32[np.ndarray, " wide"]
) -> None:
    """The share of one pixel of each cell, `start` pixels behind its column."""
    for x in range(first.size - 1):
        offset[x] = share[min(first[x] + start, share.size - 1)]


@part
@no_type_check
def mix(
    above: Float32[np.ndarray, "k wide+1"],
    below: Float32[np.ndarray, "k wide+1"],
    share: float,
    line: Float32[np.ndarray, "k wide+1"],
) -> None:
    """The heights at one row of pixels."""
    for label in range(line.shape[0]):
        for x in range(line.shape[1]):
            line[label, x] = above[label, x] * (ONE - share) + below[label, x] * share


@part
@no_type_check
def sum_powers(
    line: Float32[np.ndarray, "k wide+1"],
    offset: Float32[np.ndarray, " wide"],
    height: Float32[np.ndarray, " wide"],
    total: Float32[np.ndarray, " wide"],
) -> None:
    """The weight of all classes at a pixel of each cell, relative to the winner's 1; `height` becomes the winner's."""
    for x in range(offset.size):
        height[x], total[x] = -np.inf, 0
    for label in range(line.shape[0]):
        for x in range(offset.size):
            height[x] = max(height[x], line[label, x] * (ONE - offset[x]) + line[label, x + 1] * offset[x])
    for label in range(line.shape[0]):
        for x in range(offset.size):
            here = line[label, x] * (ONE - offset[x]) + line[label, x + 1] * offset[x]
            total[x] += power_of_2(here - height[x])


@part
@no_type_check
def power_of_2(exponent: float) -> float:
    """2 to an exponent, within 3e-7 of it: by bits for the whole part, a polynomial for the rest."""
    exponent = min(max(exponent, -MOST), MOST)
    rounded = np.float32(exponent + ROUNDER)
    rest = exponent - (rounded - ROUNDER)
    scale = np.float32(((((C5 * rest + C4) * rest + C3) * rest + C2) * rest + C1) * rest + C0)
    return np.int32(scale.view(np.int32) + (rounded.view(np.int32) << np.int32(23))).view(np.float32)
