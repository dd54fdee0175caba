"""COCO-Stuff 10k v1.1: 171 classes, with label maps in MATLAB files, which SciPy reads (the extra `data`).

    images/COCO_train2014_<id>.jpg
    annotations/COCO_train2014_<id>.mat  S: 0 = unlabelled, 1..91 things, 92..182 stuff; names: 183 of them
    imageLists/{train,test}.txt          one stem a line; `val` is the official test list

v1.0 and the annotation tool number the classes differently, and the tool's maps are transposed: both are refused.

Axes: H W image rows and columns.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt16

from cgrseg.data.datasets.labelled import Layout, Pair, published_layout
from cgrseg.data.datasets.layouts import files_by_stem, folder_of, listed, paired
from cgrseg.errors import DatasetError, MissingExtra, reason
from cgrseg.types import LabelMap

LISTS = {"train": "train", "val": "test"}
LAYOUT = "COCO-Stuff 10k holds images/, annotations/ and imageLists/ with train.txt and test.txt"
NAMES = 183
"""The number of entries of `names` in v1.1: unlabelled, 91 things, 91 kinds of stuff."""


def read_mat(file: Path, fields: tuple[str, ...], newer: str) -> dict[str, np.ndarray]:
    """Read arrays of a MATLAB file by name.

    Args:
        file: a file in the format of MATLAB 5 to 7.2.
        fields: the names of the arrays.
        newer: the end of the error about a file in the format of MATLAB 7.3, which cannot be read.

    Raises:
        MissingExtra: SciPy is not installed.
        DatasetError: the file cannot be read, or an array is missing.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtra(f"reading {file.name} needs SciPy", advice="run: pip install 'cgrseg[data]'") from None
    try:
        arrays = loadmat(str(file), appendmat=False, variable_names=fields)
    except NotImplementedError:
        raise DatasetError(f"{file} is a MATLAB 7.3 file, {newer}") from None
    except Exception as error:  # noqa: BLE001  SciPy raises any exception on malformed bytes
        raise DatasetError(f"{file} cannot be read as a MATLAB file: {reason(error)}") from None
    missing = [field for field in fields if field not in arrays]
    if missing:
        raise DatasetError(f"{file} holds no array {missing[0]!r}", advice=f"a label file needs {' and '.join(fields)}")
    return {field: np.asarray(arrays[field]) for field in fields}


def as_label_map(values: np.ndarray, file: Path) -> UInt16[np.ndarray, "H W"]:
    """Convert the array of a MATLAB file, which may store whole numbers as floats, to a label map."""
    is_map = values.ndim == 2 and values.dtype.kind in "uif"
    if not is_map or not np.all((values >= 0) & (values < 2**16) & (values % 1 == 0)):
        raise DatasetError(
            f"{file}: its label map is {values.dtype} {values.shape} where one whole number per pixel is needed"
        )
    return values.astype(np.uint16)


def find(path: Path, split: str) -> Layout:
    """A split of COCO-Stuff 10k; `path` holds `images`, `annotations` and `imageLists`."""
    listing = path / "imageLists" / f"{folder_of(LISTS, split, 'cocostuff10k')}.txt"
    stems = listed(listing, LAYOUT)
    images = files_by_stem(path / "images", (".jpg",), LAYOUT)
    labels = files_by_stem(path / "annotations", (".mat",), LAYOUT)
    return published_layout("cocostuff10k", paired(stems, images, labels, str(listing)), read)


def read(pair: Pair) -> LabelMap:
    """Read the label map, the array S, of a file of v1.1."""
    advice = "cocostuff10k reads the files of cocostuff-10k-v1.1.zip"
    fields = read_mat(pair.labels, ("S", "names"), f"as the annotation tool of COCO-Stuff writes; {advice}")
    names = int(np.size(fields["names"]))
    if names != NAMES:
        raise DatasetError(f"{pair.labels} names {names} classes, as v1.0 does, where v1.1 has {NAMES}", advice=advice)
    return as_label_map(fields["S"], pair.labels)
