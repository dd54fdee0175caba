"""Cityscapes: 19 of its 34 classes, straight from the label files of the release.

    leftImg8bit/<split>/<city>/<stem>_leftImg8bit.png
    gtFine/<split>/<city>/<stem>_gtFine_labelIds.png   0..33, of which 19 are scored

The test split is not supported: its label files in the release are dummies.
"""

from pathlib import Path

from cgrseg.data.datasets.labelled import Layout, files_by_stem, folder_of, paired, published_layout
from cgrseg.errors import DatasetError

FOLDERS = {"train": "train", "val": "val"}
LAYOUT = "Cityscapes holds leftImg8bit/<split>/<city>/ and gtFine/<split>/<city>/"


def find(path: Path, split: str) -> Layout:
    """A split of Cityscapes; `path` holds `leftImg8bit` and `gtFine`."""
    folder = folder_of(FOLDERS, split, "cityscapes")
    images = _in_cities(path / "leftImg8bit" / folder, "_leftImg8bit.png")
    labels = _in_cities(path / "gtFine" / folder, "_gtFine_labelIds.png")
    pairs = paired(sorted(images | labels), images, labels, f"split {split!r} of {path}")
    return published_layout("cityscapes", pairs)


def _in_cities(folder: Path, ending: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder", advice=LAYOUT)
    cities = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    files = [files_by_stem(city, (ending,), LAYOUT) for city in cities]
    return {stem: file for by_stem in files for stem, file in by_stem.items()}
