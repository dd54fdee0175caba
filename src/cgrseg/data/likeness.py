"""Which pictures look the same: a hash of 256 bits, near-duplicates by it, and groups that belong together.

    picture -- 16 x 17 gray parts -- is each brighter than the one to its left? -- 256 bits -- near if few differ

Copies that were saved again, resized or made a little brighter differ in a few bits; other pictures in about 128.

Axes: H W rows and columns, n m pictures.
"""

import hashlib
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from cgrseg.arrays import Image, LabelMap

HASH_PX = 16
"""A picture's hash has this many rows and columns of bits."""
LEAST_CONTRAST = 4.0
"""Standard deviation, in gray values, below which a picture is too flat for its hash to mean anything."""
NEAR_BITS = 24
"""Two pictures are near-duplicates if at most so many of 256 bits differ."""
CHUNK = 4_096
"""Pictures that are compared with all others at once."""

Bits = UInt8[np.ndarray, "32"]
"""The hash of a picture, packed."""
Signs = Float32[np.ndarray, "n 256"]
"""The bits of some pictures as -1 and 1."""


def picture_bits(image: Image) -> Bits | None:
    """Whether each part of a picture is brighter than the one to its left, 256 bits, packed; none if it is flat."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (HASH_PX + 1, HASH_PX), interpolation=cv2.INTER_AREA).astype(np.int16)
    if small.std() < LEAST_CONTRAST:
        return None
    return np.packbits((small[:, 1:] > small[:, :-1]).ravel())


def digest_of(pixels: LabelMap | Image) -> bytes:
    """Equal for equal pixels."""
    digest = hashlib.blake2b(f"{pixels.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.digest()


def signs(bits: Sequence[Bits]) -> Signs:
    """The bits of each picture as -1 and 1."""
    packed = np.stack(bits) if len(bits) else np.zeros((0, 32), np.uint8)
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def near_duplicates(
    scored: Float32[np.ndarray, "n 256"], learnt: Float32[np.ndarray, "m 256"]
) -> list[tuple[int, int]]:
    """For each of the first that has a near-duplicate among the second, its place and that of the nearest."""
    found: list[tuple[int, int]] = []
    if not len(learnt):
        return found
    nearest, fewest = np.zeros(len(scored), np.int64), np.full(len(scored), np.inf, np.float32)
    for start in range(0, len(learnt), CHUNK):
        differing = (256 - scored @ learnt[start : start + CHUNK].T) / 2
        places = differing.argmin(axis=1)
        bits = differing[np.arange(len(scored)), places]
        closer = bits < fewest
        nearest[closer], fewest[closer] = places[closer] + start, bits[closer]
    return [(int(place), int(nearest[place])) for place in np.flatnonzero(fewest <= NEAR_BITS)]


def groups(bits: Sequence[Bits | None]) -> list[list[int]]:
    """The places of the pictures in groups: near-duplicates, and their near-duplicates, are together; flat ones alone.

    So a scene of a standing camera is one group though its first and last frame differ in many bits.
    """
    known = [place for place, each in enumerate(bits) if each is not None]
    table = signs([each for each in bits if each is not None])
    root = np.arange(len(bits))
    for row, place in enumerate(known):
        differing = (256 - table[row + 1 :] @ table[row]) / 2
        near = root[[known[row + 1 + step] for step in np.flatnonzero(differing <= NEAR_BITS)]]
        root[np.isin(root, near)] = root[place]
    return [np.flatnonzero(root == name).tolist() for name in dict.fromkeys(root.tolist())]
