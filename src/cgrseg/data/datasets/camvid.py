"""CamVid as the SegNet tutorial lays it out: 11 classes, 480 x 360.

    CamVid/{train,val,test}.txt              two paths a line, of the authors' machine; only the stems are used
    CamVid/{train,val,test}/<stem>.png
    CamVid/{train,val,test}annot/<stem>.png  0..10, 11 = unlabelled

The lists name every pair of a split; other files in the folders are ignored.
"""

from pathlib import Path, PurePosixPath

from cgrseg.data.datasets.labelled import Layout, files_by_stem, listed, paired, published_layout, root_of

LAYOUT = "CamVid holds train.txt, train/ and trainannot/, and the same for val and test"


def find(path: Path, split: str) -> Layout:
    """A split of CamVid; `path` is the folder `CamVid` or its parent."""
    root = root_of(path, "CamVid")
    stems = [PurePosixPath(name).stem for name in listed(root / f"{split}.txt", LAYOUT)]
    images = files_by_stem(root / split, (".png",), LAYOUT)
    labels = files_by_stem(root / f"{split}annot", (".png",), LAYOUT)
    return published_layout("camvid", paired(stems, images, labels, str(root / f"{split}.txt")))
