"""The user's own labelled images.

    images/<split>/<stem>.jpg        any image suffix
    annotations/<split>/<stem>.png   the value of each pixel's class, or its colour in the palette (or TIFF, BMP); or
    annotations/<split>/<stem>.json  polygons of LabelMe; or
    annotations/<split>.json         polygons and masks of all images in COCO's format
    images/unlabelled/               images without labels; not a split
    classes.txt or meta.json         see `table`; optional with COCO's format, which names its classes

or the layout of CVAT's masks, see `cvat`.

Without splits, images lie directly in `images` and labels in `annotations`: all of them are the split `train`.
A label file has the name of its image apart from the suffix, from case and from the Unicode form. Pixels that no shape
covers have no label, unless a class is called `background` or `_background_`.
"""

from dataclasses import dataclass
from pathlib import Path

from cgrseg.classes import ClassTable
from cgrseg.data.datasets.coco import read_coco
from cgrseg.data.datasets.colours import holds_colours, read_colours
from cgrseg.data.datasets.cvat import find_pairs, has_cvat_split, is_cvat
from cgrseg.data.datasets.labelled import Layout, Pair, lookup_of
from cgrseg.data.datasets.labelme import read_labelme
from cgrseg.data.datasets.layouts import files_by_stem, paired, renamed_like
from cgrseg.data.datasets.table import Table, plain_table, read_table
from cgrseg.data.images import SUFFIXES, read_label_map, read_size
from cgrseg.data.left_out import images_below
from cgrseg.errors import DatasetError
from cgrseg.types import LabelMap

LAYOUT = "a folder holds images/<split>/ and annotations/<split>/, with equal names"
LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".json")
"""The suffixes of label files: formats that keep numbers."""
UNLABELLED_FOLDER = "unlabelled"
"""The folder in `images` for images without labels."""

MEANT = {
    "train": ("train", "training", "trainset", "train2017", "trn", "tr"),
    "val": ("val", "valid", "validation", "validate", "validating", "valset", "val2017", "eval", "evaluation", "dev"),
    "test": ("test", "testing", "tests", "testset", "test2017", "tst"),
}
"""Names under which other tools keep a split, in any case."""


@dataclass(frozen=True)
class FileReader:
    """Reads each label file of a folder by its content: values, colours or shapes."""

    table: Table

    def __call__(self, pair: Pair) -> LabelMap:
        if pair.labels.suffix.lower() == ".json":
            return read_labelme(pair.labels, self.table, read_size(pair.image))
        if not holds_colours(pair.labels, with_palettes=self.table.reads_palettes):
            return read_label_map(pair.labels)
        if not self.table.has_palette:
            raise DatasetError(
                f"{pair.labels} holds colours",
                advice=(
                    "save class numbers as an 8-bit gray or palette PNG, or say in meta.json what they mean: "
                    '{"classes": ["grass", "sky"], "palette": [[0, 128, 0], [70, 130, 180]]}'
                ),
            )
        return read_colours(pair.labels, self.table.values_by_colour(str(pair.labels)))


def find(path: Path, split: str, classes: ClassTable | None = None) -> Layout:
    """A split of the folder `path`; `classes` apply if it does not name its own."""
    table, layout = read_table(path), f"{LAYOUT}; {_splits(path, split)}"
    if is_cvat(path):
        table = _table_or(table, classes, path)
        return Layout(table.classes, lookup_of(table.raw, table.ignored), find_pairs(path, split), FileReader(table))
    image_folder, label_folder = folders_of(path, split)
    images = files_by_stem(image_folder, SUFFIXES, layout)
    shapes = path / "annotations" / f"{split}.json"
    if shapes.is_file():
        table, read = read_coco(shapes, table)
        labels = dict.fromkeys(read.sizes, shapes)
    else:
        table = _table_or(table, classes, path)
        read = FileReader(table)
        labels = files_by_stem(label_folder, LABEL_SUFFIXES, layout)
    images = renamed_like(images, labels)
    below = [] if images else images_below(image_folder)
    if below:
        raise DatasetError(
            f"split {split!r} of {path} holds no images, but its subfolders {len(below):,}, such as {below[0]}",
            advice=f"move them into {image_folder} itself, each with a name of its own",
        )
    pairs = paired(sorted(images | labels), images, labels, f"split {split!r} of {path}")
    return Layout(table.classes, lookup_of(table.raw, table.ignored), pairs, read)


def _table_or(table: Table | None, classes: ClassTable | None, path: Path) -> Table:
    if table is not None:
        return table
    if classes is None:
        raise DatasetError(
            f"{path} names no classes", advice="write classes.txt there, one name a line, in order of label"
        )
    return plain_table(classes)


def folders_of(path: Path, split: str) -> tuple[Path, Path]:
    """The folders with the images and with the label files of a split."""
    images, labels = path / "images", path / "annotations"
    return (images, labels) if split == "train" and is_flat(path) else (images / split, labels / split)


def is_flat(path: Path) -> bool:
    """Whether the folder has no splits: images lie directly in `images`, and `images/train` does not exist."""
    images = path / "images"
    if not images.is_dir() or (images / "train").exists():
        return False
    return any(file.suffix.lower() in SUFFIXES and not file.name.startswith(".") for file in images.iterdir())


def has_split(path: Path, split: str) -> bool:
    """Whether the folder has images or labels for a split."""
    if is_cvat(path):
        return has_cvat_split(path, split)
    labels = path / "annotations"
    return any(entry.exists() for entry in (*folders_of(path, split), labels / f"{split}.json"))


def unlabelled_folder(path: Path) -> Path | None:
    """The folder with images without labels, if it exists."""
    folder = path / "images" / UNLABELLED_FOLDER
    return folder if folder.is_dir() else None


def meant_split(name: str) -> str:
    """The split that a folder of another name is probably meant to be; empty if none."""
    key = name.casefold().strip(" _-.")
    return next((split for split, names in MEANT.items() if key in names), "")


def _splits(path: Path, split: str) -> str:
    """The splits of a folder, and what the missing one may be called there."""
    meant = [entry for entry in (*path.glob("images/*"), *path.glob("*")) if meant_split(entry.name) == split]
    if meant and not (path / "images" / split).exists():
        return f"did you mean {meant[0]}? its images belong into {path / 'images' / split}, its labels likewise"
    if is_flat(path):
        return f"{path} has no splits: all its images are train"
    folder = path / "images"
    splits = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    splits = [name for name in splits if name != UNLABELLED_FOLDER]
    return f"the splits of {path} are {', '.join(splits)}" if splits else f"{path} has no splits"
