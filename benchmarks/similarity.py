"""Time to find similar images among many.

    OMP_NUM_THREADS=1 python benchmarks/similarity.py [--images 1000 10000 100000] [--plain 10000]

Hashes are synthetic: a tenth of the images are scenes of ten frames that differ in a few bits, the others are unique.
Up to the number after --plain, the groups are also computed by brute force, each image against all after it, and
compared.
"""

import argparse
import time

import numpy as np

from cgrseg.data.similarity import NEAR_BITS, groups

FRAMES = 10
"""Images of a scene."""


def make_hashes(count: int) -> np.ndarray:
    """Packed hashes of `count` images in random order."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (count - count // 10 + count // 10 // FRAMES, 32), np.uint8)
    scenes = first[: count // 10 // FRAMES].repeat(FRAMES - 1, axis=0)
    noise = np.packbits(rng.random((len(scenes), 256)) < 0.03, axis=1)
    return rng.permutation(np.concatenate([first, scenes ^ noise]))


def plain_groups(hashes: np.ndarray) -> list[list[int]]:
    """The same groups by brute force: each image against all after it."""
    flags = np.unpackbits(hashes, axis=1)
    root = np.arange(len(flags))
    for row in range(len(flags)):
        near = root[row:][(flags[row:] != flags[row]).sum(axis=1) <= NEAR_BITS]
        root[np.isin(root, near)] = root[row]
    members: dict[int, list[int]] = {}
    for index, name in enumerate(root.tolist()):
        members.setdefault(name, []).append(index)
    return sorted(members.values())


def main() -> None:
    """Time each number of images and print a row for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--plain", type=int, default=10_000)
    options = parser.parse_args()
    print(f"{'images':>9} {'groups':>8} {'seconds':>8} {'plain':>10}")
    for count in options.images:
        hashes = make_hashes(count)
        start = time.perf_counter()
        result = groups(list(hashes))
        seconds, plain = time.perf_counter() - start, "-"
        if count <= options.plain:
            start = time.perf_counter()
            assert plain_groups(hashes) == result, "both ways find the same groups"
            plain = f"{time.perf_counter() - start:.1f}"
        print(f"{count:9,} {len(result):8,} {seconds:8.1f} {plain:>10}", flush=True)


if __name__ == "__main__":
    main()
