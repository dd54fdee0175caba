"""COCO-Stuff 10k v1.1: 171 classes, labels in MATLAB files.

    images/COCO_train2014_<id>.jpg
    annotations/COCO_train2014_<id>.mat  S: 0 = unlabelled, 1..91 things, 92..182 stuff; names: 183 of them
    imageLists/{train,test}.txt          one stem a line; `val` is the official test list

v1.0 numbers its classes otherwise, and so does the annotation tool, whose maps are also transposed: both are refused.
"""

from pathlib import Path

import numpy as np

from cgrseg.arrays import LabelMap
from cgrseg.data.datasets.labelled import Layout, Pair, files_by_stem, folder_of, listed, paired, published_layout
from cgrseg.data.datasets.mat import as_label_map, read_mat
from cgrseg.errors import DatasetError

LISTS = {"train": "train", "val": "test"}
LAYOUT = "COCO-Stuff 10k holds images/, annotations/ and imageLists/ with train.txt and test.txt"
NAMES = 183
"""Entries of `names` in v1.1: unlabelled, 91 things, 91 kinds of stuff."""


def find(path: Path, split: str) -> Layout:
    """A split of COCO-Stuff 10k; `path` holds `images`, `annotations` and `imageLists`."""
    listing = path / "imageLists" / f"{folder_of(LISTS, split, 'cocostuff10k')}.txt"
    stems = listed(listing, LAYOUT)
    images = files_by_stem(path / "images", (".jpg",), LAYOUT)
    labels = files_by_stem(path / "annotations", (".mat",), LAYOUT)
    return published_layout("cocostuff10k", paired(stems, images, labels, str(listing)), read)


def read(pair: Pair) -> LabelMap:
    """The field S of a file of v1.1."""
    advice = "cocostuff10k reads the files of cocostuff-10k-v1.1.zip"
    fields = read_mat(pair.labels, ("S", "names"), f"as the annotation tool of COCO-Stuff writes; {advice}")
    names = int(np.size(fields["names"]))
    if names != NAMES:
        raise DatasetError(f"{pair.labels} names {names} classes, as v1.0 does, where v1.1 has {NAMES}; {advice}")
    return as_label_map(fields["S"], pair.labels)
