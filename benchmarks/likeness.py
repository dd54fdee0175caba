"""What it takes to find the images that look alike among many.

    OMP_NUM_THREADS=1 python benchmarks/likeness.py [--images 1000 10000 100000] [--plain 10000]

Hashes are made up: a tenth of the images are scenes of ten frames that differ in a few bits, the others are alone. Up
to the number after --plain the groups are also found the plain way, one image against all that come after it, and
compared.
"""

import argparse
import time

import numpy as np

from cgrseg.data.similarity import NEAR_BITS, groups

FRAMES = 10
"""Of a scene."""


def make_hashes(count: int) -> np.ndarray:
    """The hashes of so many images, packed, in any order."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (count - count // 10 + count // 10 // FRAMES, 32), np.uint8)
    scenes = first[: count // 10 // FRAMES].repeat(FRAMES - 1, axis=0)
    noise = np.packbits(rng.random((len(scenes), 256)) < 0.03, axis=1)
    return rng.permutation(np.concatenate([first, scenes ^ noise]))


def plain_groups(hashes: np.ndarray) -> list[list[int]]:
    """The same groups: each image against all after it, and labels overwritten."""
    flags = np.unpackbits(hashes, axis=1)
    root = np.arange(len(flags))
    for row in range(len(flags)):
        near = root[row:][(flags[row:] != flags[row]).sum(axis=1) <= NEAR_BITS]
        root[np.isin(root, near)] = root[row]
    places: dict[int, list[int]] = {}
    for place, name in enumerate(root.tolist()):
        places.setdefault(name, []).append(place)
    return sorted(places.values())


def main() -> None:
    """Time every number of images and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--plain", type=int, default=10_000)
    options = parser.parse_args()
    print(f"{'pictures':>9} {'groups':>8} {'seconds':>8} {'plain way':>10}")
    for count in options.images:
        hashes = make_hashes(count)
        start = time.perf_counter()
        found = groups(list(hashes))
        seconds, plain = time.perf_counter() - start, "-"
        if count <= options.plain:
            start = time.perf_counter()
            assert plain_groups(hashes) == found, "both ways find the same groups"
            plain = f"{time.perf_counter() - start:.1f}"
        print(f"{count:9,} {len(found):8,} {seconds:8.1f} {plain:>10}", flush=True)


if __name__ == "__main__":
    main()
