"""The softmax of the upsampled logits at one class for each pixel, row by row, compiled.

    logits, of which the largest at each grid point is 0
        -- each row of pixels, each class: its line between the columns -- 2 to its height --> sum at each pixel
    labels -- height of the label's own line at each pixel -------------- 2 to its height -- / sum --> confidence

Every class counts, so none can be left out as for the label map; but the vertical interpolation is shared by the pixels
between two columns, and the power is taken by multiplications and bits alone, for many columns at once.

Axes: k classes, h w grid rows and columns, r n rows and columns of pixels, j pixels between two columns at most.
"""

from typing import no_type_check

import numpy as np
from jaxtyping import Float32, Int32, Shaped

from cgrseg.labeling.compiling import compiled  # and no compiled code of another file: the cache would miss its changes

LANES = 16
"""Numbers in the widest vector register; rows are padded to whole ones."""
ONE = np.float32(1)
LOG2_E = np.float32(1.4426950408889634)
ROUNDER = np.float32(1.5 * 2**23)
"""Added to a small number, it leaves no bits for a fraction: the sum is rounded to a whole number."""
C0, C1, C2 = np.float32(1.0000000717), np.float32(0.693146967), np.float32(0.2402211972)
C3, C4, C5 = np.float32(0.0555071334), np.float32(0.0096755415), np.float32(0.0013276452)


@compiled
@no_type_check
def weigh_rows(
    logits: Float32[np.ndarray, "k h w"],
    row: Int32[np.ndarray, " r"],
    row_share: Float32[np.ndarray, " r"],
    first: Int32[np.ndarray, " w+1"],
    share: Float32[np.ndarray, " n"],
    labels: Shaped[np.ndarray, "r n"],
    confidence: Float32[np.ndarray, "r n"],
) -> None:
    """Fill `confidence`; the arguments are those of `label_rows`."""
    classes, height, width = logits.shape
    longest, wide = (first[1:] - first[:-1]).max(), -(-width // LANES) * LANES
    place, own = np.zeros((longest, wide), np.float32), np.zeros((longest, wide), np.int32)
    left, rise = np.zeros(wide + 1, np.float32), np.zeros(wide, np.float32)
    spread(share, first, place)
    for y in range(row.size):
        spread(labels[y], first, own)
        below, total = min(row[y] + 1, height - 1), np.zeros((longest, wide), np.float32)
        top = own_heights(logits[:, row[y]], logits[:, below], row_share[y], place, own)
        for label in range(classes):
            raise_line(logits[label, row[y]], logits[label, below], row_share[y], left, rise)
            add_powers(left, rise, place, top, total)
        for x in range(width):
            confidence[y, first[x] : first[x + 1]] = ONE / total[: first[x + 1] - first[x], x]


@compiled
@no_type_check
def spread(
    pixels: Shaped[np.ndarray, " n"], first: Int32[np.ndarray, " w+1"], table: Shaped[np.ndarray, "j wide"]
) -> None:
    """Put the pixels behind each grid column into a column of the table."""
    for x in range(first.size - 1):
        table[: first[x + 1] - first[x], x] = pixels[first[x] : first[x + 1]]


@compiled
@no_type_check
def own_heights(
    above: Float32[np.ndarray, "k w"],
    below: Float32[np.ndarray, "k w"],
    share: float,
    place: Float32[np.ndarray, "j wide"],
    own: Int32[np.ndarray, "j wide"],
) -> Float32[np.ndarray, "j wide"]:
    """The height of each pixel's own class, in powers of 2."""
    top, width = np.zeros(place.shape, np.float32), above.shape[1]
    for x in range(width):
        right = min(x + 1, width - 1)
        for j in range(place.shape[0]):
            start = (above[own[j, x], x] * (ONE - share) + below[own[j, x], x] * share) * LOG2_E
            stop = (above[own[j, x], right] * (ONE - share) + below[own[j, x], right] * share) * LOG2_E
            top[j, x] = start + (stop - start) * place[j, x]
    return top


@compiled
@no_type_check
def raise_line(
    above: Float32[np.ndarray, " w"],
    below: Float32[np.ndarray, " w"],
    share: float,
    left: Float32[np.ndarray, " wide+1"],
    rise: Float32[np.ndarray, " wide"],
) -> None:
    """The height of a class at the columns of one row of pixels, in powers of 2, and its rise to the next column."""
    width = above.size
    for x in range(width):
        left[x] = (above[x] * (ONE - share) + below[x] * share) * LOG2_E
    left[width] = left[width - 1]
    for x in range(width):
        rise[x] = left[x + 1] - left[x]


@compiled
@no_type_check
def add_powers(
    left: Float32[np.ndarray, " wide+1"],
    rise: Float32[np.ndarray, " wide"],
    place: Float32[np.ndarray, "j wide"],
    top: Float32[np.ndarray, "j wide"],
    total: Float32[np.ndarray, "j wide"],
) -> None:
    """Add what one class weighs against each pixel's own."""
    for j in range(total.shape[0]):
        for x in range(total.shape[1]):
            total[j, x] += power_of_2(left[x] + rise[x] * place[j, x] - top[j, x])


@compiled
@no_type_check
def power_of_2(exponent: float) -> float:
    """2 to an exponent of about 0 or less, within 3e-7 of it: by bits for the whole part, a polynomial for the rest."""
    exponent = max(exponent, np.float32(-120))
    rounded = np.float32(exponent + ROUNDER)
    rest = exponent - (rounded - ROUNDER)
    scale = np.float32(((((C5 * rest + C4) * rest + C3) * rest + C2) * rest + C1) * rest + C0)
    return np.int32(scale.view(np.int32) + (rounded.view(np.int32) << np.int32(23))).view(np.float32)
