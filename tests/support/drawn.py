"""Published data sets in miniature: six drawn images each, in the layout of the release."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

COUNTS = {"train": 4, "val": 2}
HEIGHT, WIDTH = 48, 96


def drawn(values: tuple[int, ...]) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """For each image its split, its number, its pixels and a map of some of the values, in blocks."""
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for index in range(count):
            blocks = rng.choice(np.array(values, np.uint8), (HEIGHT // 8, WIDTH // 8))
            noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
            yield split, index, noise, blocks.repeat(8, axis=0).repeat(8, axis=1)


def write(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def write_list(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_ade20k(root: Path) -> None:
    for split, index, image, labels in drawn((0, 1, 2, 150)):
        folder = {"train": "training", "val": "validation"}[split]
        write(root / f"images/{folder}/ADE_{split}_{index:08d}.jpg", image)
        write(root / f"annotations/{folder}/ADE_{split}_{index:08d}.png", labels)


def draw_camvid(root: Path) -> None:
    for split, index, image, labels in drawn((0, 1, 10, 11)):
        write(root / f"{split}/{split}_{index}.png", image)
        write(root / f"{split}annot/{split}_{index}.png", labels)
    for split, count in COUNTS.items():
        write_list(
            root / f"{split}.txt", [f"/{split}/{split}_{i}.png /{split}annot/{split}_{i}.png" for i in range(count)]
        )


def draw_cocostuff10k(root: Path) -> None:
    (root / "annotations").mkdir()
    names = np.array([f"name {place}" for place in range(183)], object)[:, None]
    stems = {"train": [], "val": []}
    for split, index, image, labels in drawn((0, 1, 92, 182)):
        stems[split].append(f"COCO_train2014_{len(stems['val']):06d}{index:06d}")
        write(root / f"images/{stems[split][-1]}.jpg", image)
        savemat(root / f"annotations/{stems[split][-1]}.mat", {"S": labels.astype(np.uint16), "names": names})
    write_list(root / "imageLists/train.txt", stems["train"])
    write_list(root / "imageLists/test.txt", stems["val"])


def draw_pascalcontext(root: Path) -> None:
    stems = {"train": [], "val": []}
    for split, index, image, labels in drawn((0, 1, 2, 59)):
        stems[split].append(f"{2008 if split == 'train' else 2009}_{index:06d}")
        write(root / f"VOC2010/JPEGImages/{stems[split][-1]}.jpg", image)
        write(root / f"VOC2010/SegmentationClassContext/{stems[split][-1]}.png", labels)
    for split, names in stems.items():
        write_list(root / f"VOC2010/ImageSets/SegmentationContext/{split}.txt", names)


def draw_cityscapes(root: Path) -> None:
    for split, index, image, labels in drawn((0, 7, 8, 33)):
        frame = f"{split}/aachen/aachen_{index:06d}_000019"
        write(root / f"leftImg8bit/{frame}_leftImg8bit.png", image)
        write(root / f"gtFine/{frame}_gtFine_labelIds.png", labels)


DRAW: dict[str, Callable[[Path], None]] = {
    "ade20k": draw_ade20k,
    "camvid": draw_camvid,
    "cocostuff10k": draw_cocostuff10k,
    "pascalcontext59": draw_pascalcontext,
    "cityscapes": draw_cityscapes,
}
"""For each kind a function that draws it into an empty folder."""
