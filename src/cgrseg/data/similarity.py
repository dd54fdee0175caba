"""Images that look alike: a perceptual hash, near-duplicates, groups of them, and frames of videos.

    image -- 16 x 17 gray cells -- is each brighter than the one to its left? -- hash of 256 bits
    hashes -+- at most 24 bits differ --------------------------------------- near-duplicates, groups of them
            `- neighbours by name that are more alike than images far apart - frames of videos

Copies that were saved again, resized or made slightly brighter differ in a few bits, unrelated images in about 128.
Every image is compared with every other, as matrix products over blocks of pairs, so no near-duplicate is missed.

A frame of a video resembles the next one, though not enough for a near-duplicate. Images are taken for frames if half
of the neighbours by name are more alike than 90 % of the images far apart: of CamVid's frames, which are a second
apart, 77 % are; of the samples of ADE20K and COCO-Stuff, 12 % at most.

Axes: H W rows and columns, n m images.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from cgrseg.types import Image, LabelMap

HASH_PX = 16
"""Rows and columns of bits in a hash."""
LEAST_CONTRAST = 4.0
"""Standard deviation, in gray values, below which an image has too little contrast for a hash."""
NEAR_BITS = 24
"""Largest number of differing bits, of 256, between near-duplicates."""
CHUNK = 2_048
"""Images that are compared with as many others in one matrix product."""
LEAST_NEIGHBOURS = 20
"""Smallest number of neighbours from which frames of videos are recognised."""
MOST_VIDEOS = 20
"""Largest number of name prefixes that are taken for videos."""
LEAST_FRAMES = 5
"""Smallest number of frames of a video."""

Bits = UInt8[np.ndarray, "32"]
"""The hash of an image, packed."""
Signs = Float32[np.ndarray, "n 256"]
"""The hashes of n images, their bits as -1 and 1."""


def image_bits(image: Image) -> Bits | None:
    """The hash of an image: whether each cell is brighter than the one to its left; None if it lacks contrast."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (HASH_PX + 1, HASH_PX), interpolation=cv2.INTER_AREA).astype(np.int16)
    if small.std() < LEAST_CONTRAST:
        return None
    return np.packbits((small[:, 1:] > small[:, :-1]).ravel())


def digest_of(pixels: LabelMap | Image) -> bytes:
    """A digest (16 bytes) of the pixels and their shape."""
    digest = hashlib.blake2b(f"{pixels.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.digest()


def signs(bits: Sequence[Bits]) -> Signs:
    """Unpack hashes into rows of -1 and 1: the product of two rows is the bits that agree minus those that differ."""
    packed = np.stack(bits) if len(bits) else np.zeros((0, 32), np.uint8)
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def near_duplicates(
    scored: Float32[np.ndarray, "n 256"], learnt: Float32[np.ndarray, "m 256"]
) -> list[tuple[int, int]]:
    """Each scored image that has a near-duplicate among the learnt ones: its index, and the most similar one's."""
    nearest, most = np.zeros(len(scored), np.int64), np.full(len(scored), _agreement(NEAR_BITS + 1), np.float32)
    for rows in _chunks(len(scored)):
        for columns in _chunks(len(learnt)):
            agreement = scored[rows] @ learnt[columns].T
            columns_of_best = agreement.argmax(axis=1)
            best = agreement[np.arange(len(columns_of_best)), columns_of_best]
            closer = best > most[rows]
            nearest[rows][closer], most[rows][closer] = columns_of_best[closer] + columns.start, best[closer]
    return [(int(index), int(nearest[index])) for index in np.flatnonzero(most >= _agreement(NEAR_BITS))]


def groups(bits: Sequence[Bits | None]) -> list[list[int]]:
    """The indices of the images in groups of near-duplicates and their near-duplicates; images without hash are alone.

    All frames of a standing camera form one group, even if the first and the last differ in many bits.
    """
    known = np.array([index for index, image in enumerate(bits) if image is not None], np.int64)
    table = signs([image for image in bits if image is not None])
    root = np.arange(len(bits))
    for rows in _chunks(len(known)):
        for columns in _chunks(len(known), start=rows.start):
            near = table[rows] @ table[columns].T >= _agreement(NEAR_BITS)
            _join(root, known[rows], known[columns], near)
    together = defaultdict[int, list[int]](list)
    for index, first in enumerate(root.tolist()):
        together[first].append(index)
    return list(together.values())


def _agreement(differing: int) -> int:
    """The product of two hashes as signs if this many bits differ: bits that agree minus bits that differ."""
    return 256 - 2 * differing


def _chunks(length: int, start: int = 0) -> Iterator[slice]:
    return (slice(begin, begin + CHUNK) for begin in range(start, length, CHUNK))


def _join(
    root: Int64[np.ndarray, " images"],
    rows: Int64[np.ndarray, " n"],
    columns: Int64[np.ndarray, " m"],
    near: Bool[np.ndarray, "n m"],
) -> None:
    """Unite the groups of near images in place; `root` holds the index of the first image of each image's group."""
    while True:
        near &= root[rows][:, None] != root[columns]
        apart = np.flatnonzero(near.any(axis=1))
        if not len(apart):
            return
        rows, near = rows[apart], near[apart]
        for row, column in zip(rows.tolist(), columns[near.argmax(axis=1)].tolist(), strict=True):
            first, second = sorted((_first(root, row), _first(root, column)))
            root[second] = first
        while (root[root] != root).any():
            root[:] = root[root]


def _first(root: Int64[np.ndarray, " images"], index: int) -> int:
    while root[index] != index:
        index = int(root[index])
    return index


def series(names: Sequence[str], bits: Sequence[Bits | None], groups: Sequence[str] | None = None) -> list[int]:
    """The indices of images that look like the next one by name; empty unless the images are frames of videos.

    Args:
        names: the names of the images.
        bits: their hashes; images without hash are left out.
        groups: a group for each image; if given, only neighbours from two different groups are compared.
    """
    indices = [index for index in in_order(names) if bits[index] is not None]
    table = signs([image for index in indices if (image := bits[index]) is not None])
    alike = (table[1:] * table[:-1]).sum(axis=1)
    counts = alike < 256 - 2 * NEAR_BITS
    if groups is not None:
        counts &= np.array([groups[one] != groups[other] for one, other in pairwise(indices)], bool)
    if counts.sum() < LEAST_NEIGHBOURS:
        return []
    limit = np.quantile((table * np.roll(table, len(table) // 2, axis=0)).sum(axis=1), 0.9)
    if np.median(alike[counts]) <= limit:
        return []
    return [indices[index] for index in np.flatnonzero(counts & (alike > limit))]


def in_order(names: Sequence[str]) -> list[int]:
    """The indices that sort the names, with numbers in them compared by value: frame 9 before frame 10."""
    parts = [
        [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)] for name in names
    ]
    return sorted(range(len(names)), key=lambda index: (parts[index], names[index]))


def beginnings(names: Iterable[str]) -> tuple[str, ...]:
    """The name prefix of each video, without the frame number, the shortest first; empty if they are not clear."""
    frames = Counter(name.rstrip("0123456789") for name in names)
    few = 1 < len(frames) <= MOST_VIDEOS and min(frames.values()) >= LEAST_FRAMES
    return tuple(sorted(frames, key=lambda name: (frames[name], name))) if few and "" not in frames else ()
