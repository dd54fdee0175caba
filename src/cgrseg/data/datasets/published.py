"""Published data sets in their official layouts: one function each; `pascalcontext` has a module of its own.

Axes: H W image rows and columns.
"""

from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt16

from cgrseg.data.datasets.labelled import Layout, Pair, published_layout
from cgrseg.data.datasets.layouts import files_by_stem, folder_of, listed, paired, root_of
from cgrseg.errors import DatasetError, MissingExtra, reason
from cgrseg.types import LabelMap

ADE20K = "ADEChallengeData2016 holds images/ and annotations/, each with training/ and validation/"
CAMVID = "CamVid holds train.txt, train/ and trainannot/, and the same for val and test"
CITYSCAPES = "Cityscapes holds leftImg8bit/<split>/<city>/ and gtFine/<split>/<city>/"
COCOSTUFF10K = "COCO-Stuff 10k holds images/, annotations/ and imageLists/ with train.txt and test.txt"
COCOSTUFF164K = "COCO-Stuff 164k holds images/ and annotations/, each with train2017/ and val2017/"
VOC2012 = "VOC2012 holds JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/<split>.txt"

NAMES = 183
"""The number of entries of `names` in COCO-Stuff 10k v1.1: unlabelled, 91 things, 91 kinds of stuff."""


def find_ade20k(path: Path, split: str) -> Layout:
    """ADE20K as released for the scene parsing challenge of 2016: 150 classes.

        ADEChallengeData2016/images/{training,validation}/<stem>.jpg
        ADEChallengeData2016/annotations/{training,validation}/<stem>.png  0 = unlabelled, 1..150

    The full ADE20K of 2016 or 2021, whose `_seg.png` files encode thousands of classes as colours, is not supported.

    Args:
        path: the folder `ADEChallengeData2016` or its parent.
        split: `train` or `val`.
    """
    root = root_of(path, "ADEChallengeData2016")
    folder = folder_of({"train": "training", "val": "validation"}, split, "ade20k")
    images = files_by_stem(root / "images" / folder, (".jpg",), ADE20K)
    labels = files_by_stem(root / "annotations" / folder, (".png",), ADE20K)
    return published_layout("ade20k", paired(sorted(images | labels), images, labels, f"split {split!r} of {root}"))


def find_camvid(path: Path, split: str) -> Layout:
    """CamVid as the SegNet tutorial lays it out: 11 classes, 480 x 360.

        CamVid/{train,val,test}.txt              two paths a line, of the authors' machine; only the stems are used
        CamVid/{train,val,test}/<stem>.png
        CamVid/{train,val,test}annot/<stem>.png  0..10, 11 = unlabelled

    The lists name every pair of a split; other files in the folders are ignored.

    Args:
        path: the folder `CamVid` or its parent.
        split: `train`, `val` or `test`.
    """
    root = root_of(path, "CamVid")
    stems = [PurePosixPath(name).stem for name in listed(root / f"{split}.txt", CAMVID)]
    images = files_by_stem(root / split, (".png",), CAMVID)
    labels = files_by_stem(root / f"{split}annot", (".png",), CAMVID)
    return published_layout("camvid", paired(stems, images, labels, str(root / f"{split}.txt")))


def find_cityscapes(path: Path, split: str) -> Layout:
    """Cityscapes: 19 of its 34 classes, straight from the label files of the release.

        leftImg8bit/<split>/<city>/<stem>_leftImg8bit.png
        gtFine/<split>/<city>/<stem>_gtFine_labelIds.png   0..33, of which 19 are scored

    The test split is not supported: its label files in the release are dummies.

    Args:
        path: the folder that holds `leftImg8bit` and `gtFine`.
        split: `train` or `val`.
    """
    folder = folder_of({"train": "train", "val": "val"}, split, "cityscapes")
    images = _in_cities(path / "leftImg8bit" / folder, "_leftImg8bit.png")
    labels = _in_cities(path / "gtFine" / folder, "_gtFine_labelIds.png")
    pairs = paired(sorted(images | labels), images, labels, f"split {split!r} of {path}")
    return published_layout("cityscapes", pairs)


def _in_cities(folder: Path, ending: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder", advice=CITYSCAPES)
    cities = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    files = [files_by_stem(city, (ending,), CITYSCAPES) for city in cities]
    return {stem: file for by_stem in files for stem, file in by_stem.items()}


def find_cocostuff10k(path: Path, split: str) -> Layout:
    """COCO-Stuff 10k v1.1: 171 classes, with label maps in MATLAB files, which SciPy reads (the extra `data`).

        images/COCO_train2014_<id>.jpg
        annotations/COCO_train2014_<id>.mat  S: 0 = unlabelled, 1..91 things, 92..182 stuff; names: 183 of them
        imageLists/{train,test}.txt          one stem a line; `val` is the official test list

    v1.0 and the annotation tool number the classes differently, and the tool's maps are transposed: both are refused.

    Args:
        path: the folder that holds `images`, `annotations` and `imageLists`.
        split: `train` or `val`.
    """
    listing = path / "imageLists" / f"{folder_of({'train': 'train', 'val': 'test'}, split, 'cocostuff10k')}.txt"
    stems = listed(listing, COCOSTUFF10K)
    images = files_by_stem(path / "images", (".jpg",), COCOSTUFF10K)
    labels = files_by_stem(path / "annotations", (".mat",), COCOSTUFF10K)
    return published_layout("cocostuff10k", paired(stems, images, labels, str(listing)), read_cocostuff10k)


def read_cocostuff10k(pair: Pair) -> LabelMap:
    """Read the label map, the array S, of a file of v1.1."""
    advice = "cocostuff10k reads the files of cocostuff-10k-v1.1.zip"
    fields = read_mat(pair.labels, ("S", "names"), f"as the annotation tool of COCO-Stuff writes; {advice}")
    names = int(np.size(fields["names"]))
    if names != NAMES:
        raise DatasetError(f"{pair.labels} names {names} classes, as v1.0 does, where v1.1 has {NAMES}", advice=advice)
    return as_label_map(fields["S"], pair.labels)


def find_cocostuff164k(path: Path, split: str) -> Layout:
    """COCO-Stuff 164k: 171 classes on the images of COCO 2017, with the labels of `stuffthingmaps_trainval2017.zip`.

        images/{train2017,val2017}/<stem>.jpg
        annotations/{train2017,val2017}/<stem>.png  0..181 with 11 gaps, 255 = unlabelled

    `<stem>_labelTrainIds.png`, which other projects' converters write to the same folders, are ignored.

    Args:
        path: the folder that holds `images` and `annotations`.
        split: `train` or `val`.
    """
    folder = folder_of({"train": "train2017", "val": "val2017"}, split, "cocostuff164k")
    images = files_by_stem(path / "images" / folder, (".jpg",), COCOSTUFF164K)
    maps = files_by_stem(path / "annotations" / folder, (".png",), COCOSTUFF164K)
    labels = {stem: file for stem, file in maps.items() if not stem.endswith("_labelTrainIds")}
    pairs = paired(sorted(images | labels), images, labels, f"split {split!r} of {path}")
    return published_layout("cocostuff164k", pairs)


def find_voc2012(path: Path, split: str) -> Layout:
    """PASCAL VOC 2012 segmentation: 20 classes and background.

        VOC2012/JPEGImages/<stem>.jpg
        VOC2012/SegmentationClass/<stem>.png                     palette PNG: 0 = background, 1..20, 255 = border
        VOC2012/ImageSets/Segmentation/{train,val,trainval}.txt  one stem a line

    JPEGImages holds the images of all tasks; the lists name those with label maps.

    Args:
        path: the folder `VOC2012`, `VOCdevkit` or its parent.
        split: `train`, `val` or `trainval`.
    """
    root = root_of(path, "VOC2012", "VOCdevkit/VOC2012")
    listing = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    stems = listed(listing, VOC2012)
    images = files_by_stem(root / "JPEGImages", (".jpg",), VOC2012)
    labels = files_by_stem(root / "SegmentationClass", (".png",), VOC2012)
    return published_layout("voc2012", paired(stems, images, labels, str(listing)))


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
