"""A small folder of images and labels without fault, and ways to spoil it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

NAMES = ("grass", "road", "sky")
COLOURS = np.array([(0, 128, 0), (128, 64, 128), (70, 130, 180)], np.uint8)
HEIGHT, WIDTH = 48, 64
COUNTS = {"train": 6, "val": 3}


def noise(seed: int) -> np.ndarray:
    """An image like no other."""
    tones = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(tones, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def label_map(seed: int) -> np.ndarray:
    """A map of all three classes in blocks, with a little that has no label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (6, 8), np.uint8)
    labels[0, :4] = 0, 1, 2, 255
    return labels.repeat(8, axis=0).repeat(8, axis=1)


def make_folder(root: Path) -> Path:
    """A data set without fault."""
    for start, (split, count) in zip((0, 100), COUNTS.items(), strict=True):
        (root / "images" / split).mkdir(parents=True)
        (root / "annotations" / split).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(noise(start + index)).save(root / "images" / split / f"p{index}.png")
            Image.fromarray(label_map(start + index)).save(root / "annotations" / split / f"p{index}.png")
    (root / "classes.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    return root


def image(root: Path, index: int = 0, split: str = "train") -> Path:
    return root / "images" / split / f"p{index}.png"


def labels(root: Path, index: int = 0, split: str = "train") -> Path:
    return root / "annotations" / split / f"p{index}.png"


def all_labels(root: Path) -> list[Path]:
    return sorted((root / "annotations").rglob("*.png"))


def rewrite(files: list[Path], change: Callable[[np.ndarray], np.ndarray]) -> None:
    for file in files:
        Image.fromarray(change(np.array(Image.open(file)))).save(file)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def write_meta(root: Path, **tree: object) -> None:
    (root / "classes.txt").unlink(missing_ok=True)
    (root / "meta.json").write_text(json.dumps({"classes": list(NAMES), **tree}), encoding="utf-8")


def write_classes(root: Path, text: str) -> None:
    (root / "classes.txt").write_text(text, encoding="utf-8")


def turn(file: Path, orientation: int) -> None:
    """Mark an image to be turned."""
    with Image.open(file) as opened:
        opened.load()
        exif = opened.getexif()
        exif[0x0112] = orientation
        opened.save(file, exif=exif)


def in_colours(root: Path) -> None:
    """All labels as RGB, with a palette that explains them."""
    table = np.zeros((256, 3), np.uint8)
    table[:3] = COLOURS
    rewrite(all_labels(root), lambda values: table[values])
    write_meta(root, palette=COLOURS.tolist(), ignore=[[0, 0, 0]])


def repaint(file: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    rewrite([file], change)


def with_spot(values: np.ndarray, value: object) -> np.ndarray:
    changed = values.copy()
    changed[:3, :3] = value
    return changed


def saved_as(file: Path, kind: str, suffix: str) -> None:
    with Image.open(file) as opened:
        opened.load()
        opened.save(file.with_suffix(suffix), format=kind)
    if suffix != file.suffix:
        file.unlink()


def own_palette(file: Path, shift: int) -> None:
    """A palette PNG whose numbers were chosen for this file."""
    values = np.array(Image.open(file))
    numbers = np.where(values < 3, (values + shift) % 3, 255).astype(np.uint8)
    palette = np.zeros((256, 3), np.uint8)
    palette[(np.arange(3) + shift) % 3] = COLOURS
    opened = Image.fromarray(numbers)
    opened.putpalette(palette.tobytes())
    opened.save(file)


def labelme(root: Path, label: str, kind: str = "polygon") -> None:
    shapes = [{"label": label, "shape_type": kind, "points": [[0, 0], [60, 0], [60, 40]]}]
    labels(root).unlink()
    labels(root).with_suffix(".json").write_text(json.dumps({"shapes": shapes}), encoding="utf-8")


def renamed(root: Path) -> None:
    for file in all_labels(root):
        file.rename(file.with_name(f"{file.stem}_mask.png"))


def one_map_for_all(root: Path) -> None:
    for index in range(1, 4):
        shutil.copy(labels(root), labels(root, index))


def leak(root: Path) -> None:
    shutil.copy(image(root), image(root, 1, "val"))


def copy_within(root: Path, *, with_labels: bool) -> None:
    shutil.copy(image(root), image(root, 1))
    if with_labels:
        shutil.copy(labels(root), labels(root, 1))


def near_leak(root: Path) -> None:
    with Image.open(image(root)) as opened:
        opened.save(image(root, 0, "val").with_suffix(".jpg"), quality=60)
    image(root, 0, "val").unlink()


def dealt_out(root: Path) -> None:
    """A video whose every second frame is in val."""
    tones = np.random.default_rng(99).integers(0, 256, (6, 60, 3), np.uint8)
    scenery = cv2.resize(tones, (60 * WIDTH // 8, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for frame in range(50):
        split = ("train", "val")[frame % 2]
        shown = scenery[:, 3 * frame : 3 * frame + WIDTH]
        Image.fromarray(shown).save(root / f"images/{split}/video{frame}.png")
        Image.fromarray(label_map(1000 + frame)).save(root / f"annotations/{split}/video{frame}.png")


def resized(values: np.ndarray) -> np.ndarray:
    small = cv2.resize(values, (WIDTH * 2 // 3, HEIGHT * 2 // 3), interpolation=cv2.INTER_LINEAR)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def with_lines(values: np.ndarray) -> np.ndarray:
    """Stripes of 0 and 2 with a line of 1 between them."""
    columns = np.arange(values.shape[1])
    stripes = np.where(columns % 8 == 0, 1, columns // 8 % 2 * 2)
    return np.tile(stripes.astype(np.uint8), (len(values), 1))


def merged_16(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint16) * 257


def coco(root: Path) -> None:
    """Two splits whose JSON files name different categories."""
    (root / "classes.txt").unlink()
    for split, names in (("train", NAMES), ("val", ("grass", "sky"))):
        shutil.rmtree(root / "annotations" / split)
        tree = {
            "images": [
                {"id": i, "file_name": f"p{i}.png", "height": HEIGHT, "width": WIDTH} for i in range(COUNTS[split])
            ],
            "categories": [{"id": place, "name": name} for place, name in enumerate(names)],
            "annotations": [],
        }
        (root / "annotations" / f"{split}.json").write_text(json.dumps(tree), encoding="utf-8")


def gray_copies(root: Path) -> None:
    rewrite([labels(root)], lambda values: np.repeat(values[..., None], 3, axis=2))


def tree_of_image(root: Path) -> None:
    shutil.copy(image(root), labels(root))
