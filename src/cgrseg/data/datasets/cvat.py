"""Segmentation masks as CVAT and other tools with VOC's layout write them, as a folder of the user's own.

    labelmap.txt                          name:red,green,blue:parts:actions; see `table`
    JPEGImages/<name>.jpg                 any image suffix; names may have folders
    SegmentationClass/<name>.png          colours, or numbers in the order of the classes
    ImageSets/Segmentation/<split>.txt    a name a line; without lists, all files are the split `train`

What nobody drew is the class `background` of labelmap.txt.
"""

from collections import defaultdict
from pathlib import Path

from cgrseg.data.datasets.labelled import Pair
from cgrseg.data.datasets.layouts import paired, renamed_like
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError
from cgrseg.files import read_text, readable

Files = dict[str, list[Path]]
"""The files of a folder by name without suffix."""

NAMES = {"train": ("train", "default", "trainval"), "val": ("val", "validation")}
"""What the list of a split may be called, in any case; the first that exists counts. CVAT's own name is `default`."""
SAVED = "export them with the images included, or copy the images there"


def is_cvat(path: Path) -> bool:
    """Whether a folder has this layout."""
    return (path / "SegmentationClass").is_dir() and not (path / "images").is_dir()


def find_list(path: Path, split: str) -> Path | None:
    """The list of a split; None if there is none."""
    folder = path / "ImageSets/Segmentation"
    lists = {file.stem.casefold(): file for file in sorted(folder.glob("*.txt"))} if folder.is_dir() else {}
    return next((lists[name] for name in NAMES.get(split, (split.casefold(),)) if name in lists), None)


def list_names(path: Path) -> list[str]:
    """The names of all lists."""
    return sorted(file.stem for file in path.glob("ImageSets/Segmentation/*.txt"))


def has_cvat_split(path: Path, split: str) -> bool:
    """Whether there is a list for a split; without any list, all images are `train`."""
    return find_list(path, split) is not None or (split == "train" and not list_names(path))


def files_of_split(path: Path, split: str) -> tuple[list[str], Files, Files]:
    """The names of a split, and their images and label files as far as there are any.

    Raises:
        DatasetError: the split has no list, or there is no folder of images.
    """
    images = path / "JPEGImages"
    if not images.is_dir():
        raise DatasetError(f"{path} has label maps in SegmentationClass but no images in {images}", advice=SAVED)
    labels = _below(path / "SegmentationClass", (".png",))
    if not has_cvat_split(path, split):
        lists = ", ".join(list_names(path)) or "none, so all images are train"
        raise DatasetError(f"{path}/ImageSets/Segmentation has no list of {split!r}", advice=f"its lists: {lists}")
    listing = find_list(path, split)
    of_images = renamed_like(_below(images, SUFFIXES), labels)
    names = sorted(set(_listed(listing))) if listing else sorted(labels | of_images)
    of_images, labels = renamed_like(of_images, names), renamed_like(labels, names)
    images_of, labels_of = ({name: files[name] for name in names if name in files} for files in (of_images, labels))
    return names, images_of, labels_of


def find_pairs(path: Path, split: str) -> tuple[Pair, ...]:
    """The pairs of a split.

    Raises:
        DatasetError: an image or a label file is missing, or a name has two files.
    """
    names, images, labels = files_of_split(path, split)
    for files in (*images.values(), *labels.values()):
        if len(files) > 1:
            raise DatasetError(f"{files[0].parent} holds both {files[0].name} and {files[1].name}", advice="keep one")
    first_images, first_labels = ({name: group[0] for name, group in files.items()} for files in (images, labels))
    return paired(names, first_images, first_labels, f"split {split!r} of {path}")


def _listed(listing: Path) -> list[str]:
    """The names of a list: whole lines, since names may have spaces, and without the quotes around such names."""
    lines = (line.strip().strip('"') for line in read_text(listing).splitlines())
    return [line for line in lines if line]


def _below(folder: Path, suffixes: tuple[str, ...]) -> Files:
    files: Files = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in suffixes and not file.name.startswith("."):
            files[readable(file.relative_to(folder).with_suffix("").as_posix())].append(file)
    return dict(files)
