"""Folders of images and folders of label files: which belong together, for each split, and which names pair.

    images/<split>/x.jpg            annotations/<split>/x.png      or masks/, labels/ ...; img_dir/ and ann_dir/
    <split>/images/x.jpg            <split>/masks/x.png            a folder for each split; or <split>_images/
    <split>/x.jpg                   <split>/x_mask.png or x.json   both in one folder, as Roboflow and LabelMe save them

Without splits, all images are the split `train`. If all images of a split lie in folders below its own, these are read
and belong to the names. A label file has the name of its image apart from the suffix, from case and from the Unicode
form, and from an ending that all of them have.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cgrseg.data.datasets.labelled import Note, Pair
from cgrseg.data.datasets.layouts import Endings, common_endings, paired, renamed_like
from cgrseg.data.images import SUFFIXES
from cgrseg.errors import DatasetError
from cgrseg.files import readable

Files = dict[str, list[Path]]
"""The files of a folder by name without suffix."""
Masks = dict[str, dict[str, list[Path]]]
"""If each class has masks of its own, those of each image, by its name and by class."""

LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".json")
"""The suffixes of label files: formats that keep numbers."""
IMAGE_FOLDERS = ("images", "img_dir", "image", "imgs", "img")
LABEL_FOLDERS = ("annotations", "masks", "ann_dir", "labels", "mask", "label", "annotation", "segmentation")
UNLABELLED_FOLDER = "unlabelled"
"""The folder in `images` for images without labels."""
SPLIT_NAMES = {
    "train": ("train", "training", "default"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What programs call the splits; the first that exists counts."""
MEANT = {
    "train": ("train2017", "trainset", "trn", "tr"),
    "val": ("validate", "validating", "val2017", "valset", "eval", "evaluation", "dev"),
    "test": ("tests", "test2017", "testset", "tst"),
}
"""Further names under which a split may be kept, none of which is read."""
ALL_NAMES = frozenset(name for names in SPLIT_NAMES.values() for name in names)
ENDING = "_mask"
"""The ending of label maps that lie beside their images, as Roboflow writes them."""
BESIDE = (f"*{ENDING}.png", "*.json")
"""The label files that may lie beside their images."""


def split_names(split: str) -> tuple[str, ...]:
    """Names that the folder or list of a split may have."""
    return SPLIT_NAMES.get(split, (split,))


def meant_split(name: str) -> str:
    """The split that a folder or file is probably meant to be by its name, in any case; empty if none."""
    key = name.casefold().strip(" _-.").removeprefix("instances_")
    return next((split for split in SPLIT_NAMES if key in (*SPLIT_NAMES[split], *MEANT[split])), "")


@dataclass(frozen=True)
class Tree:
    """The folders of one split."""

    images: Path
    labels: Path
    is_whole: bool = False
    """Whether there are no splits, and all images are `train`."""

    @property
    def is_mixed(self) -> bool:
        """Whether images and label files lie in the same folder."""
        return self.images == self.labels


def folders_below(path: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones."""
    if not path.is_dir():
        return []
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def files_below(folder: Path, suffixes: tuple[str, ...], *, deep: bool = True) -> Files:
    """The files of a folder by name, which is the path below the folder without suffix.

    Args:
        folder: may be missing.
        suffixes: those of the files.
        deep: whether files in folders below count.
    """
    files: Files = defaultdict(list)
    for file in sorted(folder.rglob("*") if deep else folder.glob("*")):
        below = file.relative_to(folder)
        is_hidden = any(part.startswith(".") for part in below.parts)
        if file.suffix.lower() in suffixes and not is_hidden and UNLABELLED_FOLDER not in below.parts[:-1]:
            files[readable(below.with_suffix("").as_posix())].append(file)
    return dict(files)


def tree_of(path: Path, split: str) -> Tree:
    """The folders of a split of a data set; they need not exist.

    Raises:
        DatasetError: several folders could hold the labels.
    """
    images, labels = _two(path)
    if images.is_dir():
        if split == "train" and is_whole(path):
            return Tree(images, labels, is_whole=True)
        of_images = next((name for name in split_names(split) if (images / name).is_dir()), "")
        of_labels = next((name for name in split_names(split) if (labels / name).is_dir()), "")
        return Tree(images / (of_images or of_labels or split), labels / (of_labels or of_images or split))
    for name in split_names(split):
        folders = (_two(path, f"{name}_"), _two(path / name), (path / name, path / name))
        found = next((two for two in folders if _holds_both(*two)), None)
        if found is not None:
            return Tree(*found)
    if split == "train" and is_mixed(path):
        return Tree(path, path, is_whole=True)
    return Tree(images / split, labels / split)


def _holds_both(images: Path, labels: Path) -> bool:
    """Whether two folders hold images and label files, or are one that holds both."""
    return is_mixed(images) if images == labels else images.is_dir() and labels.is_dir()


def _two(path: Path, begin: str = "") -> tuple[Path, Path]:
    """The folder of images and that of labels; `images` and `annotations` if there are none."""
    images = [path / (begin + name) for name in IMAGE_FOLDERS if (path / (begin + name)).is_dir()]
    labels = [path / (begin + name) for name in LABEL_FOLDERS if (path / (begin + name)).is_dir()]
    if len(images) > 1 or (len(labels) > 1 and labels[0].name != "annotations"):
        what, folders = ("images", images) if len(images) > 1 else ("labels", labels)
        names = " and ".join(folder.name for folder in folders)
        raise DatasetError(
            f"{path} has several folders that could hold the {what}: {names}",
            advice=f"rename all but one of them, to a name such as {folders[-1].name}-unused",
        )
    return images[0] if images else path / "images", labels[0] if labels else path / "annotations"


def image_folder(path: Path) -> Path:
    """The folder of images; `images` if there are several or none."""
    return next((path / name for name in IMAGE_FOLDERS if (path / name).is_dir()), path / "images")


def is_mixed(folder: Path) -> bool:
    """Whether label files lie beside their images."""
    return folder.is_dir() and any(_is_beside(file) for pattern in BESIDE for file in folder.glob(pattern))


def _is_beside(file: Path) -> bool:
    """Whether a label map or a JSON lies beside its image."""
    stem = _stem(file)
    return any((file.with_name(stem + suffix)).is_file() for suffix in (*SUFFIXES, *map(str.upper, SUFFIXES)))


def _stem(file: Path) -> str:
    """The name of the image that a label file in the same folder belongs to."""
    return file.stem if file.suffix == ".json" else file.stem.removesuffix(ENDING)


def is_whole(path: Path) -> bool:
    """Whether the folder has no splits: images lie directly in `images`, or in folders none of which is a split."""
    images, labels = _two(path)
    if not images.is_dir() or any((images / name).exists() for name in SPLIT_NAMES["train"]):
        return False
    if has_files(images):
        return True
    below = {folder.name for folder in folders_below(images)} - {UNLABELLED_FOLDER}
    return bool(below) and not below & ALL_NAMES and all((labels / name).is_dir() for name in below)


def has_tree(path: Path, split: str) -> bool:
    """Whether there are folders of images or labels for a split."""
    try:
        tree = tree_of(path, split)
    except DatasetError:
        return True  # opening it gives the error
    return tree.images.is_dir() or tree.labels.is_dir()


def splits_of(path: Path) -> list[str]:
    """The names of the folders that hold splits, for messages."""
    images = _two(path)[0]
    if images.is_dir():
        return [folder.name for folder in folders_below(images) if folder.name != UNLABELLED_FOLDER]
    return [folder.name for folder in folders_below(path) if _two(folder)[0].is_dir() or is_mixed(folder)]


def files_of(tree: Tree) -> tuple[Files, Files, Endings]:
    """The images and label files of a split by name, and the endings that their names are without."""
    if tree.is_mixed:
        every = files_below(tree.images, tuple({*SUFFIXES, *LABEL_SUFFIXES}), deep=False)
        beside = {file for pattern in BESIDE for file in tree.images.glob(pattern) if _is_beside(file)}
        labels: Files = defaultdict(list)
        for file in sorted(beside):
            labels[readable(_stem(file))].append(file)
        others = {name: [file for file in group if file not in beside] for name, group in every.items()}
        images = {name: files for name, group in others.items() if (files := _images(group))}
        return renamed_like(images, labels), dict(labels), Endings()
    deep = not has_files(tree.images)
    images = files_below(tree.images, SUFFIXES, deep=deep)
    labels = files_below(tree.labels, LABEL_SUFFIXES, deep=deep)
    is_own = "annotations" in (tree.labels.name, tree.labels.parent.name)
    endings = Endings() if is_own else common_endings(images, labels)
    images = {name.removesuffix(endings.images): files for name, files in images.items()}
    labels = {name.removesuffix(endings.labels): files for name, files in labels.items()}
    return renamed_like(images, labels), labels, endings


def _images(files: list[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() in SUFFIXES]


def has_files(folder: Path) -> bool:
    """Whether images lie directly in a folder, so that those in folders below are not read."""
    return any(file.suffix.lower() in SUFFIXES and not file.name.startswith(".") for file in folder.glob("*"))


def folders_advice(tree: Tree, images: Files, labels: Files) -> str:
    """Advice if no image pairs because they lie in folders of which the label files know nothing; else empty."""
    if images.keys() & labels.keys() or not images or not all("/" in name for name in images):
        return ""
    return f"give the label files the folders of {tree.images}, or move the images into {tree.images} itself"


def single(files: Files) -> dict[str, Path]:
    """The file of each name.

    Raises:
        DatasetError: a name has two files.
    """
    twice = next((group for group in files.values() if len(group) > 1), None)
    if twice is not None:
        raise DatasetError(
            f"{twice[0].parent} holds both {twice[0].name} and {twice[1].name}", advice="keep one of them"
        )
    return {name: group[0] for name, group in files.items()}


def paired_or_negative(
    names: Sequence[str], images: Files, labels: Files, folder: Path, where: str, *, has_background: bool
) -> tuple[tuple[Pair, ...], list[Note]]:
    """The pairs of a data set that has no label file for images without any of its classes.

    Args:
        names: of the images that belong to the split.
        images: the images by name.
        labels: the label files by name.
        folder: where the missing label files would be.
        where: what errors begin with.
        has_background: whether a class stands for what nobody drew; if there is none, images without label file have
            no label at all and are left out.

    Raises:
        DatasetError: an image is missing, a name has two files, or no image has labels.
    """
    files, first = single(labels), single(images)
    bare = [name for name in names if name not in files]
    kept = [name for name in names if name in files or has_background]
    if not kept:
        raise DatasetError(f"{where}: none of {len(names)} images has a label file", advice="export the labels, too")
    expected = {name: folder / f"{name}.png" for name in bare}
    pairs = paired(kept, first, files | expected, where)
    pairs = tuple(replace(pair, is_negative=True) if pair.name in expected else pair for pair in pairs)
    if has_background or not bare:
        return pairs, []
    one = "1 image has no mask and teaches" if len(bare) == 1 else f"{len(bare):,} images have no mask and teach"
    sentence = f"{one} nothing, since no class is called background: left out"
    fix = "label them; if none of the classes is in them, add the class background"
    return pairs, [Note("no-mask", sentence, fix, tuple(first.get(name, name) for name in bare), is_warning=True)]
