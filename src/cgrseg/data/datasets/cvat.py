"""Segmentation masks as CVAT and other tools with VOC's layout write them, as a folder of the user's own.

    labelmap.txt                          name:red,green,blue:parts:actions; see `table`
    JPEGImages/<name>.jpg                 any image suffix; names may have folders
    SegmentationClass/<name>.png          colours, or numbers in the order of the classes
    ImageSets/Segmentation/<split>.txt    a name a line; without lists, all files are the split `train`

What nobody drew is the class `background` of labelmap.txt.
"""

from pathlib import Path

from cgrseg.data.datasets.labelled import Note, Pair, SplitFiles
from cgrseg.data.datasets.layouts import renamed_like
from cgrseg.data.datasets.trees import Files, files_below, paired_or_negative, split_names
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError
from cgrseg.files import read_text

NAMES = {"train": (*split_names("train"), "trainval")}
"""What the list of a split may be called besides its other names, in any case. CVAT's own name is `default`."""
SAVED = "export them with the images included, or copy the images there"


def is_cvat(path: Path) -> bool:
    """Whether a folder has this layout."""
    return (path / "SegmentationClass").is_dir() and not (path / "images").is_dir()


def find_list(path: Path, split: str) -> Path | None:
    """The list of a split; None if there is none."""
    folder = path / "ImageSets/Segmentation"
    lists = {file.stem.casefold(): file for file in sorted(folder.glob("*.txt"))} if folder.is_dir() else {}
    return next((lists[name] for name in NAMES.get(split, split_names(split.casefold())) if name in lists), None)


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
    labels = files_below(path / "SegmentationClass", (".png",))
    if not has_cvat_split(path, split):
        lists = ", ".join(list_names(path)) or "none, so all images are train"
        raise DatasetError(f"{path}/ImageSets/Segmentation has no list of {split!r}", advice=f"its lists: {lists}")
    listing = find_list(path, split)
    of_images = renamed_like(files_below(images, SUFFIXES), labels)
    names = sorted(set(_listed(listing))) if listing else sorted(labels | of_images)
    of_images, labels = renamed_like(of_images, names), renamed_like(labels, names)
    images_of, labels_of = ({name: files[name] for name in names if name in files} for files in (of_images, labels))
    return names, images_of, labels_of


def files_read(path: Path) -> list[SplitFiles]:
    """The files of all splits, one for each list.

    Raises:
        DatasetError: there is no folder of images.
    """
    lists = list_names(path)
    parts = [files_of_split(path, split)[1:] for split in lists or ("train",)]
    files = frozenset(file for part in parts for by_name in part for group in by_name.values() for file in group)
    return [SplitFiles(path / "JPEGImages", path / "SegmentationClass", files, is_listed=bool(lists))]


def find_pairs(path: Path, split: str, *, has_background: bool) -> tuple[tuple[Pair, ...], list[Note]]:
    """The pairs of a split; CVAT writes no mask for a frame on which nothing is drawn.

    Args:
        path: the folder.
        split: the split.
        has_background: whether a class stands for what nobody drew, so that such frames have labels.

    Raises:
        DatasetError: an image is missing, or a name has two files.
    """
    names, images, labels = files_of_split(path, split)
    missing = path / "SegmentationClass"
    where = f"split {split!r} of {path}"
    return paired_or_negative(names, images, labels, missing, where, has_background=has_background)


def _listed(listing: Path) -> list[str]:
    """The names of a list: whole lines, since names may have spaces, and without the quotes around such names."""
    lines = (line.strip().strip('"') for line in read_text(listing).splitlines())
    return [line for line in lines if line]
